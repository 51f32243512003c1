"""A pretraining of your own: tell by how many frames the played video jumps (pace prediction, Wang et al., ECCV 2020).

`reproduce-paper --plugin examples/own_pretext.py --only retrieval` adds its row "pace" to the downstream tables.
"""

import torch

import fame.plugins
from fame.training.supervised import Classifier, train_classifier


@fame.plugins.pretraining("pace")
class Pace(fame.plugins.Objective):
    """Classify the pace of a clip: 1, 2, ... `paces` times its usual stride."""

    paces: int = 4

    def train(self, config, encoder, videos, rows, run):
        """Train `encoder` in place by a classifier of paces; return its loss and accuracy of the last epoch."""
        model, paced = Classifier(encoder, self.paces), Paced(videos, self.paces)
        return train_classifier(model, paced, rows, config, run, purpose="pretrain", keep=True)


class Paced:
    """The videos, each with the pace as its label; clips are read at that pace."""

    def __init__(self, videos, paces):
        self.videos = videos
        self.labels = torch.arange(len(videos.labels)) % paces

    def random_starts(self, rows, clip, generator):
        """Draw first frames for clips of the usual pace; faster ones are looped where they reach beyond the end."""
        return self.videos.random_starts(rows, clip, generator)

    def clips(self, rows, starts, clip):
        """Read each clip with a stride of its pace."""
        read = []
        for row, start in zip(rows.split(1), starts.split(1), strict=True):
            pace = int(self.labels[row]) + 1
            read.append(self.videos.clips(row, start, clip.model_copy(update={"stride": pace * clip.stride})))
        return torch.cat(read)
