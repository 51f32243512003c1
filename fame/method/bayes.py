"""Define the colour histogram and Bayes' rule of a mask (paper, section 3.2), which every implementation shares."""

from __future__ import annotations

from typing import NamedTuple

LEVELS = 10  # per colour coordinate
COLOURS = LEVELS**3


class Bayes(NamedTuple):
    """Hold prior and samples of the colour posterior; the defaults are the paper's.

    P(F|x) = prior P(x|F) / (prior P(x|F) + (1 - prior) P(x|B)). Another prior keeps the order of colours; it acts because the
    posterior is smoothed before pixels are ranked.
    """

    prior: float = 0.5  # P(F), in (0, 1)
    # shares of the frame with most motion, for P(x|F), and least, for P(x|B)
    sampled: tuple[float, float] = (0.5, 0.1)

    @property
    def odds(self) -> float:
        """(1 - prior) / prior; exactly 1 for the paper's equal priors."""
        return (1 - self.prior) / self.prior

    def counts(self, pixels: int) -> tuple[int, int]:
        """Return the numbers of pixels in both samples, at least one each."""
        return max(1, int(self.sampled[0] * pixels)), max(1, int(self.sampled[1] * pixels))


PAPER = Bayes()
