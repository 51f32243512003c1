"""The method: masks, merging, controls, views, augmentation and momentum contrast (paper, section 3)."""
