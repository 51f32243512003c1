"""Compiled kernels are those of the sources as they are, whichever file an update has changed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from fame.fast.cpu.compiled import TAKEN_FROM

CALLER = """
from fame.fast.cpu.callee import number
from fame.fast.cpu.compiled import kernel

@kernel
def fill(x):
    x[0] = number()
"""
CALLEE = """
from fame.fast.cpu.compiled import inline

@inline
def number():
    return {}
"""
RUN = """
import numpy as np, torch
from fame.fast.cpu.caller import fill
torch.set_num_threads(1)
x = np.zeros(1)
fill(x)
print(int(x[0]), sum(fill.serial.stats.cache_hits.values()))
"""


def test_a_change_in_another_file_is_compiled_anew(tmp_path: Path) -> None:
    room = shutil.copytree(Path("fame"), tmp_path / "fame", ignore=shutil.ignore_patterns("__pycache__")) / "fast" / "cpu"
    (room / "caller.py").write_text(CALLER)
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"} | {"PYTHONPATH": str(tmp_path)}
    printed = []
    for number in (1, 1, 2):
        (room / "callee.py").write_text(CALLEE.format(number))
        done = subprocess.run(
            [sys.executable, "-c", RUN], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        printed.append(done.stdout.split())
    assert printed == [["1", "0"], ["1", "1"], ["2", "0"]], "compiled, kept, compiled anew"


def test_every_file_that_kernels_take_from_counts() -> None:
    """Types of fame/config aside, and the room's own command, which calls the training core."""
    texts = [path.read_text() for path in Path("fame/fast/cpu").glob("*.py") if path.name != "__main__.py"]
    taken = {name for text in texts for name in re.findall(r"^\s*from fame\.(?:method\.)?(\w+)\S* import", text, re.MULTILINE)}
    assert taken - {"fast", "config"} == set(TAKEN_FROM)
