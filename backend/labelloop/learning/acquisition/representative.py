"""What the strategies share that need no model: they look at the pool as a whole, or at a sample of a large one."""

from abc import abstractmethod

import numpy as np

from labelloop.learning.acquisition.base import Strategy
from labelloop.learning.acquisition.distance import distances
from labelloop.learning.acquisition.pool import View
from labelloop.learning.arrays import Floats, Ints


class Representative(Strategy):
    """A strategy that orders at most `SAMPLE` rows of a pool; subclasses give `order_sample`."""

    def order_view(self, view: View) -> Ints:
        """Places in the view, the sample's first."""
        return self.order_sample(view.sample())

    @abstractmethod
    def order_sample(self, view: View) -> Ints:
        """Places in a view of at most `SAMPLE` rows, best first."""


def to_labelled(view: View, otherwise: float) -> Floats:
    """Distance [n] of each row to its nearest labelled row; `otherwise` where there is none."""
    if len(view.labelled) == 0:
        return np.full(len(view), otherwise, dtype=np.float32)
    nearest: Floats = distances(view.features, view.labelled).min(axis=1)
    return nearest
