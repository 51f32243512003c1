"""Measure what is fast, as ratios taken in one run (`python -m benchmarks`), and how hard the embedded benchmark is (calibration)."""
