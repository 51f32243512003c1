"""Ranks on one machine and on two, started by torch's launcher: killed, restarted, refused; nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import fame.training.launch
from fame.config import Optim
from fame.errors import FameError, NotFinite
from fame.training.pretrain import pretrain
from tests.programs import free_port, until
from tests.ranked import asked_on, ranks_in, run_of, started
from tests.small import lines, same, weights

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def listening(port: int) -> bool:
    with socket.socket() as other:
        return other.connect_ex(("localhost", port)) == 0


def epochs(folder: Path, number: int) -> None:
    """Wait until an epoch is saved, and go on into the next one."""
    until(lambda: (folder / "checkpoint.pt").exists() and len(lines(folder)) >= number, 300)
    time.sleep(0.4)


def test_two_nodes_lose_a_rank_and_then_a_node_and_end_the_same(tmp_path):
    """By plain torchrun, the second node's launcher and rank killed and started again; weights bit for bit as undisturbed."""
    asked, folder = asked_on(tmp_path, ranks=2), tmp_path / "disturbed"
    pretrain(asked, run_of(tmp_path / "whole", tmp_path))
    port = free_port()
    meeting = f"--rdzv-endpoint=localhost:{port}"
    shared = (
        "--nnodes=2",
        "--nproc-per-node=1",
        "--rdzv-backend=c10d",
        "--rdzv-id=test",
        "--local-addr=localhost",
        "--max-restarts=3",
    )

    first = started(folder, asked, tmp_path, *shared, meeting)
    until(lambda: listening(port))  # so that it is the one where the others meet
    second = started(folder, asked, tmp_path, *shared, meeting)
    epochs(folder, 1)
    os.kill(next(one for one in ranks_in(folder) if one not in (first.pid, second.pid)), signal.SIGKILL)
    epochs(folder, 2)
    os.kill(second.pid, signal.SIGKILL)
    second.communicate()
    assert len(lines(folder)) < 4
    again = started(folder, asked, tmp_path, *shared, meeting)
    for process in (first, again):
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
    assert [line["step"] for line in lines(folder)] == [1, 2, 3, 4]
    assert same(weights(folder), weights(tmp_path / "whole"))
    queues = [torch.load(tmp_path / f"queue{rank}", weights_only=True) for rank in (0, 1)]
    assert torch.equal(*queues) and queues[0].std() > 0
    assert not ranks_in(folder)


def test_what_a_rank_refuses_is_one_line_and_is_not_tried_again(tmp_path):
    asked = asked_on(tmp_path, ranks=2, optim=Optim(lr=1e30, batch=6, epochs=4))
    with pytest.raises(NotFinite, match=r"^the loss of .* is nan in epoch \d: lower the learning rate$"):
        pretrain(asked, run_of(tmp_path / "run", tmp_path))
    assert not ranks_in(tmp_path / "run")
    process = started(tmp_path / "alone", asked, tmp_path)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2 and err.splitlines()[-1].startswith("error: the loss of")


def test_where_the_machines_cannot_meet_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(fame.training.launch, "WAIT", 3)
    asked, run = asked_on(tmp_path, ranks=2), run_of(tmp_path / "run", tmp_path)
    with socket.socket() as other:
        other.bind(("localhost", 0))
        other.listen()
        taken = f"localhost:{other.getsockname()[1]}"
        nobody = "192.0.2.1:29500"  # an address that is given to nobody (RFC 5737)
        for endpoint, told in (
            (taken, "another program listens there"),
            (nobody, "2 machines did not meet"),
            ("localhost", "is no HOST"),
        ):
            with pytest.raises(FameError, match=f"^{endpoint}: {told}"):
                pretrain(asked, replace(run, nodes=2, endpoint=endpoint))
    assert not ranks_in(run.folder)
