"""Measure how fast this checkout is, as ratios: `python -m benchmarks [merge] [step] [reproduce --before CHECKOUT]`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import torch

from benchmarks.figures import merging, reproducing, stepping
from benchmarks.timing import Ratio
from fame.errors import FameError
from fame.files import write_json
from studies.harness.hardware import commit, hardware, resolve_device
from studies.harness.pool import KEEP_MEMORY
from studies.setting.scales import SCALES

ROUNDS = {"merge": 9, "step": 9, "reproduce": 2}
BATCH = {"cpu": (16, 16, 112), "cuda": (64, 16, 224)}  # clips, frames, pixels a side


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise FameError(message)


def parser() -> Parser:
    made = Parser(prog="python -m benchmarks", description=__doc__)
    made.add_argument("names", nargs="*", metavar="NAME", help="merge, step, reproduce; the first two where none is given")
    made.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: %(default)s)")
    made.add_argument("--rounds", type=int, help=f"of each alternation (default: {ROUNDS})")
    made.add_argument("--scale", default="quick", choices=["smoke", "quick", "mini"], help="of step and reproduce")
    made.add_argument("--before", type=Path, help="checkout that `reproduce` compares with (git worktree add FOLDER COMMIT)")
    made.add_argument("--out", type=Path, default=Path("out") / "benchmarks.json", help="default: %(default)s")
    return made


def measure(words: list[str] | None = None) -> dict[str, Ratio]:
    """Measure the figures, print a line each, and write them as JSON. FameError for what cannot be measured."""
    options = parser().parse_args(words)
    names = options.names or ["merge", "step", *(["reproduce"] if options.before else [])]
    for name in names:
        if name not in ROUNDS:
            raise FameError(f"unknown figure {name!r}; there are {', '.join(ROUNDS)}")
    if "reproduce" in names and options.before is None:
        raise FameError("reproduce needs --before CHECKOUT to compare with")
    device = torch.device(resolve_device(options.device))
    figures: dict[str, Callable[[int], Ratio]] = {
        "merge": lambda rounds: merging(device, rounds, BATCH[device.type]),
        "step": lambda rounds: stepping(device, rounds, SCALES[options.scale]),
        "reproduce": lambda rounds: reproducing(device, rounds, options.scale, options.before),
    }
    measured: dict[str, Ratio] = {}
    print(f"{'figure':<11}{'slow / fast':>12}  {'quartiles':<16}{'rounds':>6}   seconds")
    for name in names:
        one = measured[name] = figures[name](ROUNDS[name] if options.rounds is None else options.rounds)
        quartiles = f"{one.low:.2f} - {one.high:.2f}"
        seconds = ", ".join(f"{side} {value:.4g}" for side, value in one.seconds.items())
        print(f"{name:<11}{one.median:>12.2f}  {quartiles:<16}{one.rounds:>6}   {seconds}", flush=True)
    about = {"commit": commit(), "threads": torch.get_num_threads(), "hardware": hardware(str(device))}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.out, about | {"figures": {name: asdict(one) for name, one in measured.items()}})
    return measured


def main(words: list[str] | None = None) -> int:
    try:
        measure(words)
    except FameError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code
    return 0


if __name__ == "__main__":
    # the C library's allocator reads its settings at the start of a process; a study's workers have these
    if any(name not in os.environ for name in KEEP_MEMORY):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**KEEP_MEMORY, **os.environ})
    sys.exit(main())
