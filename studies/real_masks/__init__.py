"""Measure how well each mask covers the object in real video, of which nothing is synthetic; `sequences.csv` decides claim C11.

The videos are third-party: numbers are written from them, frames never. Measure with `python -m studies.real_masks REAL OUT`.
"""

from pathlib import Path

SEQUENCES = Path(__file__).with_name("sequences.csv")  # a line a sequence, size and mask; the report reads it
