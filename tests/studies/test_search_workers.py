"""The search in processes of its own: one that is killed, a journal and a real PostgreSQL server."""

from __future__ import annotations

import csv
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from studies.search.storage import open_storage
from tests.programs import ran, started, until

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")]
WORDS = ("search", "--scale", "smoke", "--trials", "16", "--workers", "2")


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URL of a server of our own in a temporary folder; PostgreSQL does not run as root."""
    pytest.importorskip("psycopg2")
    if not (shutil.which("initdb") and shutil.which("postgres")):
        pytest.skip("no PostgreSQL")
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        shutil.chown(folder, user)
        who = {"user": user} if os.geteuid() == 0 else {}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
        subprocess.run(["initdb", "-D", f"{folder}/data", "-U", "fame", "-A", "trust"], check=True, **quiet, **who)
        words = ["postgres", "-D", f"{folder}/data", "-p", str(port), "-k", folder, "-h", "127.0.0.1"]
        server = subprocess.Popen(words, **quiet, **who)
        try:
            until(lambda: subprocess.run(["pg_isready", "-p", str(port), "-h", "127.0.0.1"], **quiet).returncode == 0)
            yield f"postgresql://fame@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait()


@pytest.mark.parametrize("where", ["journal", "postgres"])
def test_four_workers_two_of_which_are_killed_try_sixteen_choices_once(
    tmp_path: Path, request: pytest.FixtureRequest, where: str
) -> None:
    url = request.getfixturevalue("postgres") if where == "postgres" else str(tmp_path / "out" / "search" / "journal.log")
    words = (*WORDS, *(("--storage", url) if where == "postgres" else ()))
    program, killed = started(*words, cwd=tmp_path), started(*words, cwd=tmp_path)
    study = lambda: optuna.load_study(study_name=None, storage=open_storage(url))  # noqa: E731
    until(lambda: len(list((tmp_path / "out" / "runs").glob("*/*/encoder.pt"))) > 3, 600)
    until(lambda: sum(trial.state == TrialState.RUNNING for trial in study().get_trials()) == 4, 600)
    killed.kill()
    out, err = program.communicate(timeout=1200)
    assert program.returncode == 0, err
    assert 9 <= out.count("\ntrial ") <= 16 and not list((tmp_path / "out" / "search").glob(".worker-*"))

    trials = study().get_trials()
    whole = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert len({trial.params["merge.beta"] for trial in whole}) == len(whole) == 16
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "FAIL"}
    assert all(trial.user_attrs["standard_error"] > 0 for trial in whole)
    probes = [
        path for path in (tmp_path / "out" / "runs").glob("*/*/result.json") if json.loads(path.read_text())["kind"] == "probe"
    ]
    assert len(probes) == 16
    with (tmp_path / "out" / "search" / "trials.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 16
    before = {path: path.stat().st_mtime_ns for path in probes}
    assert "after 16 trials" in ran(*words, cwd=tmp_path)[0], "the same command finds it done"
    assert {path: path.stat().st_mtime_ns for path in probes} == before
