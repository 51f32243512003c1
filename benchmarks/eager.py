"""The plain twin of pretraining: what a training loop looks like before anybody has thought of its speed.

The same network of torch's own modules, 32-bit, contiguous, eager; torchvision's transforms clip by clip; the reference mask;
momentum contrast parameter by parameter; the optimiser as torch gives it.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import v2

from benchmarks import reference_mask
from fame.backbones import Encoder, build_encoder
from fame.backbones.chain import Block, Chain
from fame.backbones.i3d import SamePool
from fame.config import Augment, Backbone, MoCo, Optim, Pretrain
from fame.data.clips import VideoSet
from fame.errors import FameError

LAYERS = (nn.Conv3d, nn.BatchNorm3d, nn.ReLU, nn.MaxPool3d, nn.Identity, SamePool)  # the last one pads and calls torch's own


def plain_encoder(backbone: Backbone) -> Encoder:
    """The very network that is trained, widths included, before `fast_layout` changes its modules: torch's own, contiguous.

    FameError where a layer of it is not one of torch's own: then it is no plain twin.
    """
    encoder = build_encoder(backbone)
    plain = {layer.forward for layer in LAYERS}
    for name, part in encoder.named_modules():
        if isinstance(part, Chain | Block) or (not list(part.children()) and type(part).forward not in plain):
            what = f"{name} ({type(part).__name__})"
            raise FameError(f"{backbone.name}: {what} does not compute as torch's own layers do: no plain twin")
    return encoder


class PlainContrast(nn.Module):
    """Momentum contrast; `forward(view0, view1) -> loss`. One turn, or two where `symmetric`."""

    queue: Tensor

    def __init__(self, encoder: Encoder, config: MoCo):
        super().__init__()
        dim = encoder.dim
        head = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, config.dim))
        self.query = nn.Sequential(encoder, head)
        self.key = copy.deepcopy(self.query)
        for weight in self.key.parameters():
            weight.requires_grad = False
        self.config, self.place = config, 0
        self.register_buffer("queue", F.normalize(torch.randn(config.queue, config.dim), dim=1))

    def forward(self, view0: Tensor, view1: Tensor) -> Tensor:
        with torch.no_grad():
            for slow, weight in zip(self.key.parameters(), self.query.parameters(), strict=True):
                slow.data = slow.data * self.config.momentum + weight.data * (1 - self.config.momentum)
        loss = self.turn(view0, view1)
        return (loss + self.turn(view1, view0)) / 2 if self.config.symmetric else loss

    def turn(self, asked: Tensor, answered: Tensor) -> Tensor:
        points = F.normalize(self.query(asked), dim=1)
        with torch.no_grad():
            keys = F.normalize(self.key(answered), dim=1)
        own = torch.einsum("nc,nc->n", points, keys)[:, None]
        others = torch.einsum("nc,kc->nk", points, self.queue.clone())
        logits = torch.cat([own, others], 1) / self.config.temperature
        places = (self.place + torch.arange(len(keys))) % len(self.queue)
        self.queue[places.to(keys.device)] = keys
        self.place = (self.place + len(keys)) % len(self.queue)
        return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


class PlainViews:
    """torchvision's transforms, one clip after the other, in the released code's order: crop, flip; merge; colour; normalise."""

    def __init__(self, config: Pretrain, videos: VideoSet, device: torch.device):
        self.config, self.videos, self.device = config, videos, device
        augment, size = config.augment, config.clip.size
        self.crop = v2.Compose(
            [v2.RandomResizedCrop(size, scale=augment.area, antialias=False), v2.RandomHorizontalFlip(augment.flip)]
        )
        self.colour = v2.Compose(colour_transforms(augment, size))

    def draw(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        views = [self.cropped(rows) for _ in range(2)]
        if self.config.contrast.merge is not None:
            merge = self.config.contrast.merge
            views[0] = reference_mask.merge(views[0], variant=merge.variant, beta=merge.beta)  # type: ignore[arg-type]  # no control
        view0, view1 = (torch.stack([self.colour(clip.transpose(0, 1)).transpose(0, 1) for clip in view]) for view in views)
        return view0, view1

    def cropped(self, rows: Tensor) -> Tensor:
        starts = self.videos.random_starts(rows, self.config.clip, torch.default_generator)
        raw = self.videos.clips(rows, starts, self.config.clip)
        clips = [self.crop(clip.to(self.device).permute(0, 3, 1, 2).float() / 255) for clip in raw]  # (T, 3, size, size) each
        return torch.stack(clips).transpose(1, 2).contiguous()


def colour_transforms(augment: Augment, size: int) -> list[nn.Module]:
    jitter = v2.ColorJitter(augment.brightness, augment.contrast, augment.saturation, augment.hue)
    kernel = int(0.1 * size) // 2 * 2 + 1
    steps: list[nn.Module] = [v2.RandomGrayscale(augment.grayscale), v2.RandomApply([jitter], augment.jitter)]
    if augment.blur > 0 and kernel > 1:
        steps.append(v2.RandomApply([v2.GaussianBlur(kernel, (0.1, 2.0))], augment.blur))
    return [*steps, v2.Normalize(list(augment.mean), list(augment.std))]


def plain_optimiser(optim: Optim, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if optim.kind == "adamw":
        return torch.optim.AdamW(parameters, lr=optim.lr, weight_decay=optim.weight_decay)
    return torch.optim.SGD(parameters, lr=optim.lr, momentum=optim.momentum, weight_decay=optim.weight_decay)
