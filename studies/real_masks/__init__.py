"""Measure how well each mask covers the object in real video; `sequences.csv` decides claim C11."""

from pathlib import Path

SEQUENCES = Path(__file__).with_name("sequences.csv")  # a line a sequence, size and mask; the report reads it
