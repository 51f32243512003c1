"""What selection tries: one trial a line in, one measured line out. Selection worlds only, so that verdicts look at none of it.

    python -m benchmarks.selection TRIALS.jsonl LOG.jsonl [--out out/selection] [--jobs 2]

A trial is {"name": ..., "method": "moco" | "random" | "supervised" | "fame" | "erasing", "merge": arguments of studies.study.fame,
"replicate": 1000, and overrides of the scale `quick`: "world", "part" (of target A), "clip", "augment", "backbone", "moco",
"optim"}. It is pretrained and linearly probed on A; finished runs are taken from OUT. Results: docs/notebook/benchmark-log.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fame.errors import FameError
from fame.seeds import SELECTION_REPLICATES
from studies import study
from studies.harness.runner import run_stages
from studies.harness.store import Store
from studies.setting.cell import Stage
from studies.setting.resolve import Setting
from studies.setting.scales import QUICK, Scale

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


@dataclass(frozen=True)
class Trial:
    """A line of the file, resolved to the linear probe on A at its end."""

    said: dict[str, Any]
    replicate: int
    probe: Stage

    @classmethod
    def read(cls, line: str) -> Trial:
        """FameError for a world that verdicts look at."""
        said = json.loads(line)
        replicate = said.get("replicate", SELECTION_REPLICATES)
        if replicate < SELECTION_REPLICATES:
            raise FameError(f"replicate {replicate} is for verdicts: selection looks at {SELECTION_REPLICATES} and later")
        setting = Setting(sized(said))
        upstream, data = setting.pretraining(METHODS[said["method"]](**said.get("merge", {}))), setting.data("A")
        assert upstream is not None and data is not None  # the embedded benchmark has all parts
        return cls(said, replicate, Stage(setting.evaluation("probe", data), upstream))

    def measured(self, store: Store) -> dict[str, Any] | None:
        """What was said, with metrics and seconds; None where a run has failed."""
        assert self.probe.upstream is not None
        trained, probed = (store.result(stage.id, self.replicate) for stage in (self.probe.upstream, self.probe))
        if trained is None or probed is None:
            return None
        metrics = {name: round(probed["metrics"][name], 1) for name in KEPT if name in probed["metrics"]}
        told = {name: round(value, 3) for name, value in trained["metrics"].items()}
        spent = {"steps": trained["notes"].get("steps", 0), "seconds": round(trained["seconds"])}
        return {**self.said, "replicate": self.replicate, **told, **metrics, **spent, "commit": trained["commit"][:12]}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("trials", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/selection"))
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args(arguments)
    try:
        trials = [Trial.read(line) for line in asked.trials.read_text(encoding="utf-8").splitlines() if line.strip()]
        return run(trials, Store(asked.out), asked.log, asked.jobs)
    except FameError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.code


def run(trials: list[Trial], store: Store, log: Path, jobs: int) -> int:
    """Run what is missing, world by world, and log a line a trial; 1 where one failed, with its complaint."""
    complaints = []
    for replicate in sorted({trial.replicate for trial in trials}):
        here = [trial for trial in trials if trial.replicate == replicate]
        stages = {stage.id: (stage, ("selection",)) for trial in here for stage in trial.probe.chain()}
        complaints += run_stages(store, stages, [replicate], jobs=jobs).complaints()
        with log.open("a", encoding="utf-8") as file:
            for found in filter(None, (trial.measured(store) for trial in here)):
                file.write(json.dumps(found) + "\n")
    for complaint in complaints:
        sys.stderr.write(f"{complaint}\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
