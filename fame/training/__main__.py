"""Pretrain without a study, alone or as one of the ranks that torch's launcher starts.

    torchrun --nproc-per-node 8 -m fame.training CONFIG.json FOLDER --data-root VIDEOS

Without torchrun the ranks that the configuration wants are launched here. FOLDER gets `encoder.pt` and `metrics.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path

import torch
from pydantic import ValidationError
from torch.distributed.elastic.multiprocessing.errors import record

from fame.config import Pretrain, StagedData, VideoData
from fame.data import open_videos
from fame.data.clips import VideoSet
from fame.distributed import here, joined
from fame.errors import FameError, explain
from fame.plugins import load
from fame.processes import end_with
from fame.run import LOG, Run
from fame.seeds import Seeds
from fame.training.launch import REFUSED, refuse, refused
from fame.training.pretrain import pretrain


def options() -> argparse.ArgumentParser:
    """Declare what is typed."""
    parser = argparse.ArgumentParser("python -m fame.training", description="Pretrain an encoder.")
    parser.add_argument("config", type=Path, help="JSON of fame.config.Pretrain, or config.json of a run")
    parser.add_argument("folder", type=Path, help="where encoder.pt, metrics.jsonl and the checkpoint are; all ranks see it")
    parser.add_argument("--data-root", type=Path, help="folder of the videos")
    parser.add_argument("--cache", type=Path, default=Path("out/cache"), help="prepared videos (default: out/cache)")
    parser.add_argument("--replicate", type=int, default=0, help="number that all seeds come from (default: 0)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    parser.add_argument("--plugin", type=Path, action="append", default=[], help="file with masks of your own")
    parser.add_argument("--parent", type=int, default=os.getppid(), help=argparse.SUPPRESS)
    return parser


def read(path: Path) -> Pretrain:
    """Read a configuration. FameError where it is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return Pretrain.model_validate(value.get("config", value))
    except ValidationError as error:
        raise FameError(f"{path}: {explain(error)}") from None
    except (OSError, ValueError, AttributeError) as error:
        raise FameError(f"{path}: is no configuration of a pretraining ({error})") from None


def begin(folder: Path) -> None:
    """Remove what a killed attempt left half written, and its log where no epoch was saved. FameError where one was refused."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0" and (error := refused(folder)):
        raise error
    if os.environ.get("RANK", "0") == "0":
        for left in (folder / REFUSED, *folder.glob(".checkpoint.pt.*")):
            left.unlink(missing_ok=True)
        if not (folder / "checkpoint.pt").exists():
            (folder / LOG).unlink(missing_ok=True)


@record
def work(given: argparse.Namespace) -> None:
    """Pretrain, in all ranks. FameError, which is left for the launcher as well."""
    seeds = Seeds(given.replicate)
    begin(given.folder)
    try:
        for plugin in given.plugin:
            load(plugin)
        config = read(given.config)

        def videos(data: StagedData | VideoData) -> VideoSet:  # the digest in `data` says which may be left out
            return open_videos(data, seeds, given.cache, given.data_root, most_broken=1.0)

        with joined(given.device) as device:
            pretrain(config, Run(given.folder, seeds, device, videos, given.cache, quiet=not here().first))
    except FameError as error:
        refuse(given.folder, error)
        raise


if __name__ == "__main__":
    given = options().parse_args()
    end_with(given.parent)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that half-written files are removed
    try:
        work(given)
    except FameError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.code)
