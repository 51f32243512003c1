"""From a declared study to stages: scales, protocols, folds, identity."""
