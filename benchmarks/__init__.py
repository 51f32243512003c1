"""Measure what is fast (`python -m benchmarks`), and the embedded benchmark beside real video (calibration)."""
