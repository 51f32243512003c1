"""Masks on real video: how well each covers the object, where nothing was made by us. Claim C11 is decided on this.

    python -m benchmarks.real_masks REAL docs/results/real-masks

REAL: see real_clips.py. What is measured: real_measures.py; what is written: real_writing.py. Takes about a minute on one core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from benchmarks.real_measures import measure_all
from benchmarks.real_writing import summarise, write
from fame.errors import FameError


def main(words: list[str] | None = None) -> int:
    asked = argparse.ArgumentParser(prog="python -m benchmarks.real_masks", description=(__doc__ or "").splitlines()[0])
    asked.add_argument("real", type=Path, help="folder of the real videos")
    asked.add_argument("out", type=Path, help="folder of the results; numbers only are written")
    asked.add_argument("--again", action="store_true", help="write summaries and figure anew from the clips measured before")
    options = asked.parse_args(words)
    torch.set_num_threads(1)
    try:
        if options.again:
            summarise(options.out)
        else:
            write(measure_all(options.real), options.out)
    except FameError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code
    print((options.out / "summary.md").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
