"""`python -m benchmarks [NAME ...]`: measure, in one process, and write what was found. `make bench` is all of it."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

from fame.errors import FameError

NAMES = ("merge", "share", "step", "loading", "decoding", "epoch", "cold", "study")
ROOT = Path(__file__).resolve().parents[1]
OUT = Path("out") / "performance"


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise FameError(message)


def parser() -> Parser:
    asked = Parser(prog="python -m benchmarks", description=__doc__)
    asked.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all where none is given")
    asked.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: %(default)s)")
    asked.add_argument("--rounds", type=int, default=9, help="of each alternation (default: %(default)s)")
    asked.add_argument("--quick", action="store_true", help="smaller sizes, to try the command; no target is judged")
    asked.add_argument("--tiny", action="store_true", help="sizes of seconds, for tests; the numbers mean nothing")
    asked.add_argument("--out", type=Path, default=OUT, help="folder of the results (default: %(default)s)")
    asked.add_argument("--keep", action="store_true", help="keep the results of this machine in docs/")
    asked.add_argument("--study", type=Path, help="a finished study's output folder, for the benchmark `study`")
    asked.add_argument("--before", type=Path, help="the same study's folder by an earlier version, to compare with")
    return asked


def check(asked: argparse.Namespace) -> tuple[str, ...]:
    """The benchmarks' names. FameError for what cannot be."""
    for name in asked.names:
        if name not in NAMES:
            raise FameError(f"unknown benchmark {name!r}; there are {', '.join(NAMES)}")
    if asked.rounds < 1:
        raise FameError(f"--rounds {asked.rounds}: at least one round is needed")
    if asked.keep and (asked.quick or asked.tiny):
        raise FameError("--keep keeps figures at the targets' sizes: leave out --quick and --tiny")
    for option in ("study", "before"):
        path = getattr(asked, option)
        if path is not None and not (path / "runs").is_dir():
            raise FameError(f"--{option} {path}: no study's output folder (it holds no runs/)")
    names = tuple(dict.fromkeys(asked.names)) or NAMES
    if asked.study and "study" not in names:
        raise FameError("--study belongs to the benchmark `study`, which is not among those named")
    return names


def run(asked: argparse.Namespace) -> Path:
    """Measure and write; the page's path."""
    names = check(asked)
    import torch

    from benchmarks import writing
    from benchmarks.setting import Setting
    from studies.harness.hardware import resolve_device

    device = torch.device(resolve_device(asked.device))
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in NAMES}
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="fame-benchmarks-") as made:
        setting = Setting(device, asked.rounds, Path(made), asked.quick, asked.tiny, asked.study, asked.before)
        for name in names:
            print(f"{name}: {modules[name].TITLE}", flush=True)
            began = time.perf_counter()
            outcome = modules[name].measure(setting)
            outcomes.append(outcome.after(time.perf_counter() - began))
        targets = {name: module.TARGETS for name, module in modules.items()}
        found = writing.record(outcomes, setting.limits_measured, str(device), targets)
    data, page = writing.write(found, asked.out)
    print(f"\n{writing.markdown(found)}\nwritten: {data}, {page}")
    if asked.keep:
        print("kept: " + ", ".join(str(path.relative_to(ROOT)) for path in writing.keep(found, ROOT / "docs")))
    return page


def settle() -> None:
    """Start this process anew where the allocator is not set as training's workers have it; it reads its settings at the start."""
    from studies.harness.executors.local import KEEP_MEMORY

    if any(name not in os.environ for name in KEEP_MEMORY):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**KEEP_MEMORY, **os.environ})


def main(words: list[str] | None = None) -> int:
    try:
        run(parser().parse_args(words))
    except FameError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    settle()
    sys.exit(main())
