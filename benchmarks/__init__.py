"""Every performance figure of the project, measured anew by one command: `python -m benchmarks` (docs/performance.md)."""
