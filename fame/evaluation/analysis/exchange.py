"""What moves the features more: another scene behind the same figure, or another figure before the same kind of scene (claim C8).

    exchange ratio of x = |f(x) - f(scene exchanged)| / |f(x) - f(figure exchanged)|

x is a test performance in its own scene. The scene is exchanged by its deranged twin: the same performance in a scene of another
family. The figure is exchanged by every video among the chosen ones and their twins that shows *another action* in a scene of x's
family; the distance is averaged over them. Scenes of one family differ, too, so the ratio understates the scene's part. Below 1 the
features follow the figure rather than the scene. Distances are Euclidean, between pooled features of the middle clip.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fame.backbones import Encoder
from fame.config import Clip, Precision
from fame.data.clips import VideoSet
from fame.evaluation.features import extract

NOTHING = float("nan")


def exchange_distances(
    net: Encoder, videos: VideoSet, rows: Tensor, *, clip: Clip, precision: Precision, device: torch.device
) -> pd.DataFrame | None:
    """Per own-scene row its `scene_distance`, `figure_distance` and `exchange_ratio`; NaN where a partner is missing.

    None where the data set has no deranged twin of any of these performances.
    """
    performance, family, label = videos.tag("performance"), videos.tag("scene"), videos.labels.tolist()
    twins = {performance[row]: row for row in videos.select("test/deranged").tolist() if performance[row]}
    own = rows.tolist()
    shown = own + [twins[performance[row]] for row in own if performance[row] in twins]
    if len(shown) == len(own):
        return None
    vectors = extract(net, videos, torch.tensor(shown), clip=clip, clips=1, precision=precision, device=device)[:, 0]
    feature = dict(zip(shown, vectors, strict=True))

    def distance(a: int, b: int) -> float:
        return float(torch.linalg.vector_norm(feature[a] - feature[b]))

    lines = []
    for row in own:
        twin = twins.get(performance[row])
        alike = [other for other in shown if family[row] and family[other] == family[row] and label[other] != label[row]]
        scene = NOTHING if twin is None else distance(row, twin)
        figure = float(np.mean([distance(row, other) for other in alike])) if alike else NOTHING
        lines.append({"scene_distance": scene, "figure_distance": figure, "exchange_ratio": scene / figure if figure else NOTHING})
    return pd.DataFrame(lines)
