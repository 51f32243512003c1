"""A mask of your own: pixels that vary most over time. `reproduce-paper --plugin examples/own_mask.py --only foreground_mask`."""

import fame.plugins


@fame.plugins.mask("variance", label="Variance")
def variance(clips, beta):
    """Score the pixels of clips (B, 3, T, H, W) in [0, 1]; the beta share with the highest scores (B, H, W) is kept."""
    return clips.var(dim=2).sum(dim=1)
