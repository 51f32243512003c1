"""The fresh process of benchmarks/cold.py: `python -m benchmarks.cold_child BEGAN CONFIG CACHE FOLDER DEVICE`.

Imports nothing heavy before the clock is looked at. Trains one step and prints a JSON line: seconds of each part, peak bytes.
"""

import json
import sys
import time
from pathlib import Path


def main(began: str, config_file: str, cache: str, folder: str, device: str) -> None:
    marks = {"interpreter": time.time()}
    import torch

    from fame.config import Pretrain
    from fame.data import open_videos
    from fame.run import Run
    from fame.seeds import SELECTION_REPLICATES, Seeds
    from fame.training.pretrain import pretrain

    marks["imports"] = time.time()
    config = Pretrain.model_validate_json(Path(config_file).read_text(encoding="utf-8"))
    seeds = Seeds(SELECTION_REPLICATES)
    assert config.data is not None
    videos = open_videos(config.data, seeds, Path(cache))
    marks["opening data"] = time.time()
    result = pretrain(config, Run(Path(folder), seeds, torch.device(device), lambda data: videos))
    marks["first step"] = time.time()
    if result["notes"]["steps"] != 1:
        raise SystemExit(f"{result['notes']['steps']} steps were trained, not one")
    parts, before = {}, float(began)
    for name, mark in marks.items():
        parts[name], before = mark - before, mark
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    peak = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
    print(json.dumps({"parts": parts, "peak": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
