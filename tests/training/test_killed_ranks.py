"""Two ranks that are killed with everything around them go on from the last epoch saved, to the same weights bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from fame.backbones.checkpoint import read_weights
from fame.backbones.given import load_encoder
from fame.training.pretrain import pretrain
from tests.fakes import fake_run
from tests.slow_ranks import long, slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_killed_ranks_continue_bit_for_bit(tmp_path: Path) -> None:
    straight = pretrain(long(), fake_run(tmp_path / "straight", slow()))

    folder = tmp_path / "broken"
    folder.mkdir()
    code = f"from tests.slow_ranks import work\nif __name__ == '__main__':\n    work({str(folder)!r})\n"
    program = tmp_path / "program.py"  # a file, as ranks import what starts them
    program.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, str(program)], start_new_session=True, env=environment, cwd=tmp_path) as process:
        try:
            until = time.monotonic() + 240
            while not (folder / "checkpoint.pt").exists():
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.02)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    done = read_weights(folder / "checkpoint.pt")["epochs"]
    assert 1 <= done < 4 and not (folder / "encoder.pt").exists()

    continued = pretrain(long(), fake_run(folder, slow()))
    steps = [json.loads(line).get("step") for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]
    assert continued["metrics"] == straight["metrics"]
    one, other = (load_encoder(tmp_path / name / "encoder.pt").state_dict() for name in ("straight", "broken"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not (folder / "checkpoint.pt").exists()
