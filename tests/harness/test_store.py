"""Runs on disk: what counts as finished, what is done about damage, and what a user is told."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest

from fame.config import Pretrain, Random
from studies.harness.store import DiskFull, Store
from studies.setting.cell import Stage

STAGE = Stage(Pretrain(objective=Random()))
RESULT = {
    "stage": STAGE.id,
    "kind": "pretrain",
    "replicate": 0,
    "upstream": None,
    "metrics": {"loss": 1.5},
    "artifacts": [],
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "out").prepare()


def test_a_run_is_finished_when_its_result_is_written_and_not_before(store: Store) -> None:
    folder = store.begin(STAGE, 0)
    assert store.result(STAGE.id, 0) is None and list(store.all()) == [(STAGE.id, 0)]
    assert store.stage(STAGE.id, 0) == STAGE and store.stage(STAGE.id, 1) is None
    store.finish(STAGE, 0, RESULT)
    assert store.result(STAGE.id, 0) == RESULT | {"files": {}}
    assert not store.finished(STAGE.id, 1)
    assert folder == store.out / "runs" / STAGE.id / "0"
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("text", ["", '{"stage": "', "[]", '{"metrics": {}}', '{"stage": "another", "metrics": {}}', "\xff"])
def test_a_damaged_result_is_named_once_and_counts_as_unfinished(store: Store, text: str, caplog: pytest.LogCaptureFixture) -> None:
    path = store.begin(STAGE, 0) / "result.json"
    path.write_bytes(text.encode("latin-1"))
    with caplog.at_level(logging.WARNING):
        assert not store.finished(STAGE.id, 0)
        assert not store.finished(STAGE.id, 0)
    (told,) = caplog.messages
    assert str(path) in told and "done again" in told
    store.finish(STAGE, 0, RESULT)
    assert store.finished(STAGE.id, 0)


def test_a_changed_number_or_file_makes_a_run_unfinished_and_is_looked_at_once(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    folder = store.begin(STAGE, 0)
    table, result = folder / "table.csv", folder / "result.json"
    table.write_text("video,label\na,1\n")
    store.finish(STAGE, 0, RESULT | {"artifacts": ["table.csv"]})
    written = result.read_text()
    result.write_text(written.replace("1.5", "1.6"))
    assert not store.finished(STAGE.id, 0)
    result.write_text(written)
    table.write_text("video,label\na,2\n")
    assert not store.finished(STAGE.id, 0) and store.table(STAGE.id, 0, "table.csv") is None
    assert [str(path) in message for path, message in zip((result, table), caplog.messages, strict=True)] == [True, True]
    table.write_text("video,label\na,1\n")
    assert store.finished(STAGE.id, 0)
    table.unlink()
    assert store.finished(STAGE.id, 0) and not Store(store.out).finished(STAGE.id, 0), "a process looks once"


def test_progress_is_that_of_the_last_complete_line(store: Store) -> None:
    assert store.progress(STAGE.id, 0) is None
    metrics = store.begin(STAGE, 0) / "metrics.jsonl"
    metrics.write_text('{"step": 1, "steps": 9}\n{"step": 2, "steps": 9}\n{"phase": "test"}\n{"step": 3, "st')
    assert store.progress(STAGE.id, 0) == (2, 9, None)
    metrics.write_text('{"step": 1, "ste')
    assert store.progress(STAGE.id, 0) is None


def test_a_new_start_keeps_what_belongs_to_a_checkpoint_and_drops_the_rest(store: Store) -> None:
    folder = store.begin(STAGE, 0)
    (folder / "metrics.jsonl").write_text("{}\n")
    (folder / ".result.json.4711").write_text("half")
    (folder / "checkpoint.pt").write_text("state")
    store.begin(STAGE, 0)
    assert (folder / "metrics.jsonl").exists()
    assert not (folder / ".result.json.4711").exists()
    (folder / "checkpoint.pt").unlink()
    store.begin(STAGE, 0)
    assert not (folder / "metrics.jsonl").exists()


def test_a_full_disk_is_told_apart_and_costs_nothing_computed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.begin(STAGE, 0)
    store.finish(STAGE, 0, RESULT)

    def no_space(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("studies.harness.store.write_json", no_space)
    with pytest.raises(DiskFull, match=r"disk is full.*finished runs are kept"):
        store.finish(STAGE, 1, RESULT)
    store.fail(STAGE, 1, "as the disk is full, this cannot be written either")
    assert store.finished(STAGE.id, 0)


def test_torch_hides_a_full_disk_in_a_runtime_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")
    assert store.full_disk(hidden) is None
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 0})())
    assert isinstance(store.full_disk(hidden), DiskFull)
    assert store.full_disk(ValueError("of another kind")) is None
