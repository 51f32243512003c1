"""Measure what is fast, as ratios taken in one run (`python -m benchmarks`), and how hard the benchmark is (calibration)."""
