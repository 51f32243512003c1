"""(5) From a cold start to the first trained step: seconds by part, and memory, of a fresh process whose data are prepared.

Twice: as every later start has it, and as the first one has it, where nothing is compiled yet and no cache of kernels exists.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.figures import Outcome, Sheet, Target
from benchmarks.inputs import staged_videos
from benchmarks.memory import ROOT
from benchmarks.setting import Setting
from benchmarks.timing import spread
from benchmarks.training import NARROW, TINY, configured
from fame.errors import FameError

TITLE = "Cold start to first step"
ROUNDS = 3
TARGETS: tuple[Target, ...] = ()  # the issue asks for the figures, and sets no bound
CACHES = ("NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")


def measure(setting: Setting) -> Outcome:
    batch = 16 if setting.tiny else 32
    backbone = TINY if setting.tiny else NARROW
    data, _ = staged_videos(setting.folder, train=batch)  # one batch is the whole split: one step
    config = configured(setting, backbone, batch, threads=1)
    optim = config.optim.model_copy(update={"epochs": 1})
    config = config.model_copy(update={"data": data, "optim": optim})
    sheet = Sheet("cold", TITLE, {"clips": batch, "network": config.backbone.name, "threads": 1})
    kinds = {"later start": min(ROUNDS, setting.rounds)} if setting.tiny else {"first start": 1, "later start": ROUNDS}
    for kind, rounds in kinds.items():
        if kind == "later start" and not setting.tiny:
            _start(config.model_dump_json(), setting, fresh=False)  # compiles what is not compiled
        found = [_start(config.model_dump_json(), setting, fresh=kind == "first start") for _ in range(rounds)]
        totals = [sum(one["parts"].values()) for one in found]
        sheet.add(f"{kind}: to the end of the first step", spread(totals), "s")
        for part in found[0]["parts"]:
            sheet.add(f"{kind}: {part}", spread([one["parts"][part] for one in found]), "s")
        if found[0]["peak"] is not None:
            sheet.add(f"{kind}: peak memory", spread([one["peak"] / 2**20 for one in found]), "MiB")
    sheet.notes.append("The first step holds the building of the network, compilation where there is any, and the encoder's file.")
    return sheet.outcome()


def _start(config: str, setting: Setting, fresh: bool) -> dict[str, Any]:
    """One fresh process; `fresh`: with empty caches of compiled kernels."""
    with tempfile.TemporaryDirectory(dir=setting.folder) as made:
        folder = Path(made)
        (folder / "config").write_text(config, encoding="utf-8")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        if fresh:
            environment |= {name: str(folder / name) for name in CACHES}
        words = [str(folder / "config"), str(setting.folder / "cache"), str(folder), str(setting.device)]
        command = [sys.executable, "-m", "benchmarks.cold_child", str(time.time()), *words]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FameError(f"a cold start failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
