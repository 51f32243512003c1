"""Area under the ROC curve, exactly and for many lines at once: the measure of maps and masks against the true figure."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def auroc(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Exact area under the ROC curve of each line: scores (N, P) against truth bool (N, P) -> (N,), ties counted half.

    It is the chance that a random positive scores above a random negative (Mann-Whitney). NaN where a line has only one kind.
    """
    ranks = rankdata(scores, axis=1)
    positive = truth.sum(axis=1).astype(float)
    negative = truth.shape[1] - positive
    above = (ranks * truth).sum(axis=1) - positive * (positive + 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((positive > 0) & (negative > 0), above / (positive * negative), np.nan)
