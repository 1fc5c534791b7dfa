"""Strategies that look at each item by itself."""

from typing import Final

import numpy as np

from labelloop.learning.acquisition.base import Need, Strategy, descending
from labelloop.learning.acquisition.pool import View
from labelloop.learning.arrays import Ints
from labelloop.learning.uncertainty import disagreement

# What members say is copied several times to measure it; of 20 members and 77 classes that is 25 MB for this many rows.
ROWS_AT_ONCE: Final = 512


class Random(Strategy):
    """Any order is as good as another: the baseline."""

    name = "random"

    def order_view(self, view: View) -> Ints:
        """The places as they are: shuffled."""
        return np.arange(len(view))


class MostUncertain(Strategy):
    """What the model knows least of comes first; an uncertainty that is not finite counts as 1."""

    need = Need.UNCERTAINTY

    def order_view(self, view: View) -> Ints:
        """Places, the most uncertain first."""
        return descending(view.doubt(self.measure))


class Margin(MostUncertain):
    """By the margin between the two most probable classes (Scheffer et al., 2001); see `uncertainty.margin`."""

    name = "margin"


class LeastConfidence(MostUncertain):
    """By the probability of the most probable class (Lewis and Gale, 1994); see `uncertainty.least_confidence`."""

    name = "least_confidence"
    measure = "least_confidence"


class Entropy(MostUncertain):
    """By the entropy of the class probabilities (Shannon, 1948); see `uncertainty.entropy`."""

    name = "entropy"
    measure = "entropy"


class Bald(Strategy):
    """By how much the members of an ensemble, or passes with dropout, disagree (Houlsby et al., 2011); see `uncertainty.disagreement`."""

    name = "bald"
    need = Need.MEMBERS

    def order_view(self, view: View) -> Ints:
        """Places, the most disputed first."""
        places = np.arange(len(view))
        parts = [places[start : start + ROWS_AT_ONCE] for start in range(0, len(view), ROWS_AT_ONCE)]
        return descending(np.concatenate([disagreement(view.take(part).members) for part in parts]))
