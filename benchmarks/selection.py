"""What selection tries: one trial a line in, one measured line out. Selection worlds only, so that verdicts look at none of it.

    python -m benchmarks.selection TRIALS.jsonl LOG.jsonl [--out out/selection] [--jobs 2]

A trial is {"name": ..., "method": "moco" | "random" | "supervised" | "fame" | "erasing", "merge": arguments of studies.study.fame,
"replicate": 1000, and overrides of the scale `quick`: "world", "part" (of target A), "clip", "augment", "backbone", "moco",
"optim"}. It is pretrained and linearly probed on A; finished runs are taken from OUT. docs/benchmark.md tells what came of it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
for _name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
    os.environ.setdefault(_name, "1000000000")

from fame.errors import FameError  # noqa: E402
from fame.seeds import SELECTION_REPLICATES  # noqa: E402
from studies import study  # noqa: E402
from studies.cell import Stage  # noqa: E402
from studies.resolve import Setting  # noqa: E402
from studies.scales import QUICK, Scale  # noqa: E402
from studies.store import Store  # noqa: E402
from studies.worker import Busy, execute  # noqa: E402

METHODS = {
    "moco": study.moco,
    "random": study.random_init,
    "supervised": study.supervised,
    "fame": study.fame,
    "erasing": study.background_erasing,
}
KEPT = (
    *("top1", "top1/deranged", "scene_following", "scene/top1"),
    *("balanced/top1", "balanced/top1/deranged", "balanced/val/balanced/top1"),
)


def sized(trial: dict[str, Any]) -> Scale:
    """`quick` with the trial's overrides, validated."""

    def changed(model: Any, name: str) -> Any:
        return type(model).model_validate(model.model_dump() | trial.get(name, {}))

    assert QUICK.world is not None
    world = changed(QUICK.world, "world")
    world = world.model_copy(update={"A": changed(world.A, "part")})
    return replace(
        QUICK,
        clip=changed(QUICK.clip, "clip"),
        augment=changed(QUICK.augment, "augment"),
        backbone=changed(QUICK.backbone, "backbone"),
        moco=changed(QUICK.moco, "moco"),
        pretrain=changed(QUICK.pretrain, "optim"),
        world=world,
    )


def measure(trial: dict[str, Any], out: Path) -> dict[str, Any]:
    """Pretrain and probe; the trial with its metrics and seconds."""
    replicate = trial.get("replicate", SELECTION_REPLICATES)
    if replicate < SELECTION_REPLICATES:
        raise FameError(f"replicate {replicate} is for verdicts: selection looks at {SELECTION_REPLICATES} and later")
    setting = Setting(sized(trial))
    upstream = setting.pretraining(METHODS[trial["method"]](**trial.get("merge", {})))
    data = setting.data("A")
    assert upstream is not None and data is not None
    store = Store(out)
    trained = _executed(upstream, replicate, store)
    probed = _executed(Stage(setting.evaluation("probe", data), upstream), replicate, store)
    metrics = {name: round(probed["metrics"][name], 1) for name in KEPT if name in probed["metrics"]}
    told = {name: round(value, 3) for name, value in trained["metrics"].items()}
    spent = {"steps": trained["notes"].get("steps", 0), "seconds": round(trained["seconds"])}
    return {**trial, "replicate": replicate, **told, **metrics, **spent, "commit": trained["commit"][:12]}


def _executed(stage: Stage, replicate: int, store: Store) -> dict[str, Any]:
    """The run's result; trials that share a run wait for whichever is at it."""
    while True:
        try:
            return execute(stage, replicate, store)
        except Busy:
            time.sleep(1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("trials", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/selection"))
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    trials = [json.loads(line) for line in asked.trials.read_text(encoding="utf-8").splitlines() if line.strip()]
    with ProcessPoolExecutor(asked.jobs) as pool:
        waiting = {pool.submit(measure, trial, asked.out): trial for trial in trials}
        for done in as_completed(waiting):
            try:
                line = json.dumps(done.result())
            except FameError as error:
                line = json.dumps({**waiting[done], "error": str(error)})
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
            with asked.log.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
