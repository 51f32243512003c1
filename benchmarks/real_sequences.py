"""From clips to sequences: clips of one sequence show one scene, so that a sequence counts once, as the mean over its clips."""

from __future__ import annotations

import pandas as pd

from benchmarks.real_measures import BOX_MEASURES
from fame.evaluation.analysis.mask_quality import MEASURES
from reports.real_video import RealVideo
from studies.paper.links import Camera, RealMask

MASK = ["size", "variant", "beta", "flavour"]
VALUES = [*MEASURES, *BOX_MEASURES.values()]
DIGITS = 5
CAMERAS = ("all", "still", "moving")


def by_sequence(clips: pd.DataFrame) -> pd.DataFrame:
    """Mean of every measure over the clips of a sequence (those that define it), `motion` their median, `clips` their number."""
    keys = ["set", "truth", "sequence", "camera", *MASK]
    groups = clips.groupby(keys, sort=False)
    found = groups[["area", *VALUES]].mean()
    found.insert(0, "clips", groups.size())
    motion = clips.drop_duplicates(["video", "first"]).groupby("sequence")["motion"].median()
    found.insert(0, "motion", found.index.get_level_values("sequence").map(motion.to_dict()))
    return found.reset_index()


def means(sequences: pd.DataFrame) -> pd.DataFrame:
    """Mean over sequences for every truth, camera class and mask; `n_MEASURE` is how many sequences define it."""
    parts = []
    for camera in CAMERAS:
        groups = (sequences if camera == "all" else sequences[sequences["camera"] == camera]).groupby(["truth", *MASK], sort=False)
        part = (
            groups[["area", *VALUES]]
            .mean()
            .join(groups[["recall_lift", "recall_still", "box_recall_lift"]].count().add_prefix("n_"))
        )
        parts.append(part.reset_index().assign(camera=camera))
    found = pd.concat(parts, ignore_index=True)
    return found[["truth", "camera", *[name for name in found if name not in ("truth", "camera")]]]


def as_kept(sequences: pd.DataFrame) -> RealVideo:
    """The table as the ledger reads it from the file."""
    texts = sequences.round(DIGITS).astype(object).where(sequences.notna(), "").astype(str)
    return RealVideo(tuple(texts.to_dict("records")))  # type: ignore[arg-type]


def differences(sequences: pd.DataFrame, measure: str, camera: Camera) -> dict[str, float]:
    """FAME minus Seed of every sequence that has the measure, at 112 px, beta 0.5, flavour paper."""
    return as_kept(sequences).differences(RealMask("fame", measure, "", camera), RealMask("seed", measure, "", camera))
