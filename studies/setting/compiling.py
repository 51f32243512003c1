"""`--compile auto`: torch.compile where it pays back, decided before anything else, since the answer enters every pretraining's id.

One answer for all pretrainings by contrast of a study, from the plain baseline's on A: its network, clips and batch are theirs, and
comparisons stay paired. Measured in a process of its own (fame/training/payback.py) and kept in OUT/cache/compile by machine,
torch and
sizes, so that the same command comes to the same answer when it is typed again.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fame.config import MoCoObjective, Pretrain
from fame.errors import FameError
from studies.harness.hardware import machine, versions
from studies.setting.asked import Asked
from studies.study import moco

if TYPE_CHECKING:
    from fame.training.payback import Taken

Measure = Callable[[Pretrain, str], "list[Taken]"]
SIZES = ("clip", "backbone", "objective", "precision", "threads", "accumulate")  # of a pretraining, beside its optimiser


def decided(asked: Asked, device: str, cache: Path, say: Callable[[str], None], measure: Measure | None = None) -> bool:
    """How the pretrainings of `asked` are to be computed; `say` is told the times. FameError where eager itself fails."""
    from fame.training.payback import Taken, best

    stage = asked.setting.pretraining(moco())
    if stage is None or not isinstance(config := stage.config, Pretrain) or not isinstance(config.objective, MoCoObjective):
        return False  # given weights
    kept = cache / "compile" / f"{_key(config, device)}.json"
    try:
        found = [Taken(**one) for one in json.loads(kept.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        say("measuring whether torch.compile pays back, once on this machine; it takes minutes")
        found = (measure or measured)(config, device)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps([vars(one) for one in found], indent=1) + "\n", encoding="utf-8")
    assert config.data is not None
    videos = asked.sizes(config.data).get("train", 0)
    steps = config.optim.epochs * max(1, videos // config.optim.batch)
    way = best(found, steps)
    say(f"torch.compile over {steps} steps: {'; '.join(_line(one, found[0], steps) for one in found)}; taken: {NAMES[way]}")
    return way


NAMES = {False: "eager", True: "compiled"}


def _line(one: Taken, eager: Taken, steps: int) -> str:
    from fame.training.payback import APART, apart

    if one.failed:
        return f"{NAMES[one.way]} failed ({one.failed})"
    told = f"{NAMES[one.way]} {1e3 * one.step:.1f} ms a step, {one.total(steps):.0f} s in all"
    distance = apart(one, eager)
    return told if distance <= APART else f"{told}, but its loss is up to {distance:.3f} from eager's"


def _key(config: Pretrain, device: str) -> str:
    told: dict[str, Any] = {name: config.model_dump(mode="json")[name] for name in SIZES}
    told |= {
        "batch": config.optim.batch,
        "optimiser": config.optim.kind,
        "machine": machine(device),
        "torch": versions().get("torch"),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def measured(config: Pretrain, device: str) -> list[Taken]:
    """`fame.training.payback.measure` in a process of its own."""
    from fame.training.payback import Taken

    command = [sys.executable, "-m", "fame.training.payback", device]
    found = subprocess.run(command, input=config.model_dump_json(), capture_output=True, text=True)
    if found.returncode:
        told = found.stderr.strip().splitlines()[-1:] or [f"exit code {found.returncode}"]
        raise FameError(f"--compile auto: a step of this pretraining fails on {device} ({told[0]}); try it with --compile no")
    return [Taken(**one) for one in json.loads(found.stdout.splitlines()[-1])]
