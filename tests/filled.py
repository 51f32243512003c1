"""An output folder with made-up runs of every stage, drawn from seeds: what the reports are tested on."""

import zlib
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fame.config import MoCoObjective, Pretrain
from fame.evaluation.predictions import metrics_from
from fame.evaluation.retrieval import metrics_from as recalls
from reports.evidence import Evidence
from reports.page import build
from studies.harness.store import Store
from studies.paper.registry import FINDINGS, STUDIES
from studies.records import Records
from studies.setting.cell import Stage
from studies.setting.recording import about, cells
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import SMOKE, Scale
from studies.study import Study

CONDITIONS = ("own", "deranged", "neutral", "scene_only", "figure_only")
CLASSES = 8
LEVEL = {"random": (0.5, 0.14), "moco": (0.74, 0.17), "supervised": (0.9, 0.4), "merged": (0.75, 0.36)}
FILES = [f"class{i % CLASSES}/{i:04d}.mp4" for i in range(64)]
MASKS = {"gauss": 0.45, "seed": 0.55, "grid": 0.62, "fame": 0.7}


def kind_of(stage: Stage) -> str:
    """random, moco, supervised or merged: what was pretrained."""
    config = stage.upstream.config if stage.upstream else None
    if not isinstance(config, Pretrain):
        return "random"
    objective = config.objective
    if isinstance(objective, MoCoObjective):
        return "merged" if objective.merge or objective.erasing else "moco"
    return objective.kind if objective.kind in LEVEL else "random"


def seed_of(stage: Stage) -> int:
    """From what the stage compares, not from its id: a scale's schedule changes no number."""
    source = stage.upstream.config if stage.upstream else None
    words = [stage.kind, getattr(getattr(stage.config, "data", None), "part", "")]
    if isinstance(source, Pretrain):
        words += [getattr(source.data, "part", "")]
        words += [getattr(source.objective, name, None) for name in ("kind", "merge", "erasing")]
    return zlib.crc32(repr(words).encode())


def named(condition: str, performances: int) -> dict[str, Any]:
    """The columns that name videos, and their labels."""
    index = np.arange(performances)
    videos = [f"{condition}/{i:04d}.mp4" for i in index]
    return {"video": videos, "performance": [f"p{i:04d}" for i in index], "condition": condition, "label": index % CLASSES}


def predictions(stage: Stage, random: np.random.Generator, performances: int, heads: tuple[str, ...]) -> pd.DataFrame:
    own, deranged = LEVEL[kind_of(stage)]
    parts = []
    for head, condition in product(heads, CONDITIONS):
        extra = 0.3 if own > 0.6 and head == "balanced" else 0.0
        right = random.random(performances) < (own if condition in ("own", "scene_only") else deranged + extra)
        part = pd.DataFrame(named(condition, performances) | {"head": head})
        wrong = (part["label"] + 1 + random.integers(CLASSES - 1, size=performances)) % CLASSES
        other = (part["label"] + 1 + part.index // CLASSES % 7) % CLASSES
        scene = {"own": part["label"], "deranged": other, "scene_only": part["label"]}.get(condition)
        parts.append(part.assign(predicted=part["label"].where(right, wrong), scene_action=scene))
    return pd.concat(parts, ignore_index=True).astype({"scene_action": "Int64"})


def ranks(stage: Stage, random: np.random.Generator, performances: int) -> pd.DataFrame:
    parts = []
    for condition in CONDITIONS:
        right = random.random(performances) < LEVEL[kind_of(stage)][condition != "own"]
        rank = np.where(right, 1, random.integers(2, 60, size=performances))
        parts.append(pd.DataFrame(named(condition, performances) | {"rank": rank}))
    return pd.concat(parts, ignore_index=True)


def found_near(random: np.random.Generator) -> pd.DataFrame:
    """Queries in two scenes, each with five neighbours of any class; all have the frames of one video."""
    lines = [
        {"condition": condition, "query": FILES[at], "place": place, "video": FILES[video], "class": FILES[video].split("/")[0]}
        for condition in CONDITIONS[:2]
        for at in range(4)
        for place, video in enumerate((at, *random.integers(len(FILES), size=5).tolist()))
    ]
    return pd.DataFrame(lines).assign(frames="video.npy")


def picture(random: np.random.Generator, size: int = 32, frames: int = 4, count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 (count, frames, size, size, 3) with a bright disc, and the disc's mask."""
    y, x = np.mgrid[:size, :size]
    video = random.integers(20, 140, (count, frames, size, size, 3))
    centres = random.integers(size // 4, 3 * size // 4, (count, 1, 2)) + np.arange(frames)[None, :, None]
    truth = (y - centres[..., 0, None, None]) ** 2 + (x - centres[..., 1, None, None]) ** 2 < (size / 6) ** 2
    video[truth] = (220, 200, 60)
    return video.astype(np.uint8), truth


def artefacts(stage: Stage, replicate: int, folder: Path, performances: int) -> dict[str, float]:
    """Write what such a stage leaves behind; its metrics."""
    random = np.random.default_rng([seed_of(stage), replicate])
    if stage.kind == "pretrain":
        epochs = stage.config.optim.epochs  # type: ignore[union-attr]
        lines = "".join(f'{{"time": {i}, "step": {i + 1}, "steps": {epochs}, "loss": {4 - i / epochs}}}\n' for i in range(epochs))
        (folder / "metrics.jsonl").write_text(lines, encoding="utf-8")
        return {"loss": 3.0}
    if stage.kind in ("finetune", "probe"):
        frame = predictions(stage, random, performances, ("biased", "balanced") if stage.kind == "probe" else ("biased",))
        frame.to_csv(folder / "predictions.csv", index=False)
        return metrics_from(frame)
    if stage.kind == "retrieval":
        frame = ranks(stage, random, performances)
        frame.to_csv(folder / "retrieval.csv", index=False)
        found_near(random).to_csv(folder / "neighbours.csv", index=False)
        np.save(folder.parents[2] / "cache" / "video.npy", picture(random)[0][0])
        return recalls(frame, (1, 5, 10, 20, 50), 512)
    frames, truth = picture(random)
    if stage.kind == "kernels":
        spread = {"supervised": 0.05, "merged": 0.045, "moco": 0.03, "random": 0.02}[kind_of(stage)]
        weights = {f"layer{i}": random.normal(0, spread / i, 3000).astype(np.float32) for i in range(1, 5)}
        np.savez_compressed(folder / "weights.npz", **weights)  # type: ignore[arg-type]
        metrics = {f"spread/{name}": float(w.std()) for name, w in weights.items()}
        metrics |= {f"energy/{name}": 0.6 + 4 * spread + float(random.normal(0, 0.005)) for name in weights}
        return metrics | {f"ratio/{name}": 1 + 4 * spread for name in weights}
    if stage.kind == "activation":
        blurred = truth * (0.9 if kind_of(stage) == "merged" else 0.3) + random.random(truth.shape) * 0.4
        names = np.array(FILES[: len(frames)])
        np.savez_compressed(folder / "maps.npz", frames=frames, maps=blurred.astype(np.float16), truth=truth, videos=names)
        score, ratio = (0.75, 0.8) if kind_of(stage) == "merged" else (0.55, 1.6)
        measured = {
            "auroc": random.normal(score, 0.05, performances),
            "exchange_ratio": random.normal(ratio, 0.1, performances),
        }
        pd.DataFrame(named("own", performances) | measured).to_csv(folder / "activation.csv", index=False)
        return {name: float(values.mean()) for name, values in measured.items()}
    soft = random.random(truth[:, 0].shape) * 0.4 + truth[:, 0]
    masks = {name: soft if name == "gauss" else (soft > np.quantile(soft, 0.5)).astype(np.float32) for name in MASKS}
    names = np.array(FILES[: len(frames)])
    np.savez_compressed(folder / "masks.npz", frames=frames[:, 0], truth=truth[:, 0], videos=names, **masks)  # type: ignore[arg-type]
    measures = ("recall_lift", "iou", "auroc", "recall_still")
    lines = [
        {"video": FILES[i % len(FILES)], "variant": name, "beta": 0.5, "flavour": "paper", "area": 0.5}
        | {measure: random.normal(MASKS[name], 0.1) for measure in measures}
        for i in range(performances)
        for name in MASKS
    ]
    table = pd.DataFrame(lines)
    table.to_csv(folder / "mask_quality.csv", index=False)
    means = table.groupby("variant")[list(measures)].mean()
    return {f"{name}/0.5/paper/{measure}": float(means.loc[name, measure]) for name in MASKS for measure in measures}


def fill(
    out: Path,
    *,
    replicates: int | Sequence[int] = 1,
    scale: Scale = SMOKE,
    studies: tuple[Study, ...] = STUDIES,
    performances: int = 48,
    leave_out: frozenset[str] = frozenset(),
    setting: Setting | None = None,
) -> tuple[Store, Setting]:
    """A store with every stage of the studies finished, but kinds or ids in `leave_out`."""
    store, chosen = Store(out).prepare(), setting or Setting(scale)
    for stage, _ in all_stages(chosen, studies).values():
        if {stage.id, stage.kind} & leave_out:
            continue
        for replicate in range(replicates) if isinstance(replicates, int) else replicates:
            folder = store.begin(stage, replicate)
            store.finish(stage, replicate, result(stage, replicate, artefacts(stage, replicate, folder, performances), folder))
    return store, chosen


def result(stage: Stage, replicate: int, metrics: dict[str, float], folder: Path) -> dict[str, Any]:
    return {
        "stage": stage.id,
        "kind": stage.kind,
        "replicate": replicate,
        "upstream": stage.upstream.id if stage.upstream else None,
        "metrics": metrics,
        "artifacts": sorted(path.name for path in folder.iterdir() if path.suffix in (".csv", ".npz")),
        "notes": {"gallery": 24, "queries": {"test": 8}, "classes_in_gallery": 5} if stage.kind == "retrieval" else {},
        "seconds": 12.5,
        "finished": "2026-01-02T03:04:05+0000",
        "commit": "0123abc",
        "hardware": {"processor": "a processor", "cores": 2, "device": "cpu"},
        "versions": {"python": "3.12", "torch": "2.0"},
    }


def put(store: Store, stage: Stage | None, replicate: int, metrics: dict[str, float]) -> None:
    """Finish a run with these metrics, without predictions."""
    assert stage is not None
    store.finish(stage, replicate, result(stage, replicate, metrics, store.begin(stage, replicate)))


def recorded(setting: Setting, studies: Sequence[Study], replicates: Sequence[int]) -> Records:
    return Records(cells(setting, tuple(studies)), about(setting, tuple(studies), tuple(replicates)))


def seen(
    store: Store, setting: Setting, replicates: Sequence[int] = (0,), studies: Sequence[Study] = (*STUDIES, *FINDINGS)
) -> Evidence:
    """What a report sees of these studies: the results through their records."""
    return Evidence(store, recorded(setting, studies, replicates))


def reported(store: Store, setting: Setting, studies: Sequence[Study], replicates: int | Sequence[int] = 1, **words: str) -> Path:
    """The page of a report on these studies, their records written first."""
    numbers = range(replicates) if isinstance(replicates, int) else replicates
    recorded(setting, studies, numbers).write(store.out)
    return build(store, **words)
