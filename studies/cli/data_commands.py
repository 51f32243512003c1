"""The verbs of `run_study.py data`: render, scan, prepare and check videos, and look at the embedded benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from fame.config import StagedData
from fame.errors import FameError
from fame.seeds import Seeds
from studies.cli.options import (
    Broken,
    Codec,
    DataRoot,
    Fold,
    Jobs,
    MostBroken,
    OneSet,
    Out,
    PartOf,
    ProtocolName,
    Replicates,
    ScaleName,
    Size,
    bound_on_broken,
)
from studies.cli.session import console, watching
from studies.harness.hardware import default_jobs
from studies.harness.progress import Watcher
from studies.harness.store import Store
from studies.setting.asked import Asked
from studies.setting.choices import Choices, resolve
from studies.setting.folds import parse_folds
from studies.study import Part

if TYPE_CHECKING:
    from fame.data.clips import VideoSet

data_app = typer.Typer(no_args_is_help=True, help="The videos: render, scan, prepare, verify, contact sheets.")


@data_app.command("render")
def data_render(
    scale: ScaleName = "quick", replicates: Replicates = None, part: PartOf = None, out: Out = Path("out"), jobs: Jobs = None
) -> None:
    """Render the embedded benchmark, all its sets, and store it decoded."""
    store, asked = _staged(scale, replicates, part, out)
    from fame.data import open_videos

    with watching() as watcher:
        for replicate, part, data in _parts(asked):
            tell = _naming(watcher, f"{part} · {replicate}")
            open_videos(data, Seeds(replicate), store.cache, None, jobs or default_jobs("cpu"), tell)
    console.print(f"rendered into {store.cache}", soft_wrap=True)


@data_app.command("scan")
def data_scan(
    dataset: OneSet = "ucf101",
    data_root: DataRoot = None,
    fold: Fold = "1",
    out: Out = Path("out"),
    jobs: Jobs = None,
    exclude_broken: Broken = False,
    most_broken: MostBroken = None,
) -> None:
    """Decode every video of a dataset on disk once and show what is there and what is wrong with it."""
    choices = Choices(scale="paper", dataset=dataset, data_root=data_root, fold=parse_folds(fold))
    if dataset == "staged":
        raise FameError(
            "the embedded benchmark is rendered, not scanned: use `data render`, or name a --dataset on disk (ucf101, folder, ...)"
        )
    from fame.data.scan import report_file
    from fame.data.scan_report import BrokenVideos

    cache, bound = Store(out).prepare().cache, bound_on_broken(exclude_broken, most_broken)
    try:
        with watching() as watcher:
            asked = resolve(choices, cache, jobs or default_jobs("cpu"), watcher.data, bound)
    except BrokenVideos as error:
        _show_findings(error.report)
        raise
    assert data_root is not None
    for videos in asked.setting.every_set:
        folder = asked.roots.get(videos.kind, data_root)
        _show_findings(report_file(folder, videos.kind, videos.fold, cache / "scan"))
        counts = ", ".join(f"{count} {split}" for split, count in asked.sizes(videos).items())
        of_fold = f", fold {videos.fold}" if asked.setting.folds else ""
        console.print(f"{videos.kind}{of_fold}: {counts}", highlight=False)
        console.print(f"manifest {videos.manifest}", highlight=False)
    if asked.absent:
        console.print(asked.absent, highlight=False, soft_wrap=True)


@data_app.command("prepare")
def data_prepare(
    dataset: OneSet = "ucf101",
    data_root: DataRoot = None,
    fold: Fold = "1",
    codec: Codec = None,
    scale: ScaleName = "paper",
    size: Size = None,
    protocol: ProtocolName = "corrected",
    out: Out = Path("out"),
    jobs: Jobs = None,
    exclude_broken: Broken = False,
    most_broken: MostBroken = None,
    check: Annotated[bool, typer.Option("--check", help="Read all stored frames against their checksums; mend them.")] = False,
) -> None:
    """Decode every video of a dataset on disk and store it at the size of scale and protocol; a run does it too, if need be."""
    if dataset == "staged":
        raise FameError("the embedded benchmark is stored as it is rendered: use `data render`, or name a --dataset on disk")
    from fame.data import open_videos

    cache, bound, processes = Store(out).prepare().cache, bound_on_broken(exclude_broken, most_broken), jobs or default_jobs("cpu")
    with watching() as watcher:
        choices = Choices(scale, dataset, data_root, parse_folds(fold), codec=codec, size=size, protocol=protocol)
        asked = resolve(choices, cache, processes, watcher.data, bound)
        lines: dict[Path, str] = {}  # folds of a set share a folder
        for data in asked.setting.every_set:
            root = asked.roots.get(data.kind, data_root)
            videos = open_videos(data, Seeds(0), cache, root, processes, watcher.data, bound)
            if videos.store.folder not in lines:
                found = _checked(videos, watcher) if check else ""
                lines[videos.store.folder] = _stored(videos) + found
    for line in lines.values():
        console.print(line, soft_wrap=True, highlight=False)


def _stored(videos: VideoSet) -> str:
    frames, used = int(videos.length.sum()), videos.store.bytes
    size = f"{used / 1e9:.3f} GB, {used / frames:.0f} bytes a frame"
    return f"{videos.store.folder}: {len(videos)} videos, {frames} frames, {size}"


def _checked(videos: VideoSet, watcher: Watcher) -> str:
    """Read all stored frames against their checksums and decode the damaged ones anew; what was found, for a line."""
    damaged = videos.store.check(progress=watcher.data)
    for path in damaged:
        watcher.note(f"{path}: its stored frames were damaged, decoded anew")
    return f"; {len(damaged)} damaged, mended" if damaged else "; sound"


def _show_findings(report: Path) -> None:
    """A table of faults and remarks by split, and where each is listed; nothing where the scan found none."""
    from fame.data.layouts import SPLITS
    from fame.data.scan_report import counted_by, read_report

    found = read_report(report)
    if not found:
        return
    table = Table("what", "name", *SPLITS, box=None)
    kinds: dict[str, str] = {finding.name: finding.what for finding in found}
    for name, counts in counted_by(found).items():
        table.add_row(kinds[name], name, *(str(counts[split] or "") for split in SPLITS))
    console.print(table)
    console.print(f"each is listed in {report}", soft_wrap=True, highlight=False)


@data_app.command("verify")
def data_verify(out: Out = Path("out")) -> None:
    """Read every rendered file against its checksum."""
    from fame.data.staged.videos import verify

    parts = sorted(path.parent for path in (out / "cache" / "staged").glob("*/checksums.txt"))
    if not parts:
        raise FameError(f"{out}: no rendered benchmark there; `data render` makes one")
    for part in parts:
        verify(part)
        console.print(f"{part}: sound", soft_wrap=True)


@data_app.command("sheet")
def data_sheet(
    scale: ScaleName = "quick", replicates: Replicates = None, part: PartOf = None, out: Out = Path("out"), jobs: Jobs = None
) -> None:
    """Contact sheets of the embedded benchmark, to look at: training videos, and test performances in every condition."""
    store, asked = _staged(scale, replicates, part, out)
    from fame.data.staged.sheet import contact_sheet, counterfactual_sheet
    from fame.data.staged.videos import render

    folder = out / "sheets"
    with store.named_errors():
        folder.mkdir(parents=True, exist_ok=True)
    with watching() as watcher:
        for replicate, part, data in _parts(asked):
            manifest = render(
                data, Seeds(replicate), store.cache, jobs or default_jobs("cpu"), _naming(watcher, f"{part} · {replicate}")
            )
            for name, draw in (("train", contact_sheet), ("conditions", counterfactual_sheet)):
                path = folder / f"{asked.setting.scale.name}-{part}-{replicate}-{name}.png"
                draw(manifest, path)
                watcher.note(str(path))


def _parts(asked: Asked) -> Iterator[tuple[int, str, StagedData]]:
    """Every part of every replicate's world."""
    parts: tuple[Part, ...] = ("A", "B", "C", "source")
    for replicate in asked.now:
        for part in parts:
            data = asked.setting.data(part)
            if isinstance(data, StagedData):
                yield replicate, part, data


def _staged(scale: str, replicates: int | None, part: str | None, out: Path) -> tuple[Store, Asked]:
    store = Store(out).prepare()
    return store, resolve(Choices(scale=scale, replicates=replicates, part=part), store.cache, 1)


def _naming(watcher: Watcher, name: str) -> Callable[[str, int, int], None]:
    return lambda what, done, total: watcher.data(f"{what} {name}", done, total)
