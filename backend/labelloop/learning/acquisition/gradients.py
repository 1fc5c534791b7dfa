"""BADGE: a spread of items whose labels would change the model much, each in another direction."""

import numpy as np

from labelloop.learning.acquisition.base import Need, Strategy, descending
from labelloop.learning.acquisition.pool import View
from labelloop.learning.arrays import Floats, Ints


class Badge(Strategy):
    """Ash et al., 2020: k-means++ on the gradients of a linear head's loss, the model's own guess taken for the label.

    Such a gradient is the outer product of (probabilities - guess) and features, so that products of gradients are products
    of two small numbers and the n x C*d matrix is never made. Behind the batch come the rows farthest from it.
    """

    name = "badge"
    need = Need.PROBABILITIES

    def order_view(self, view: View) -> Ints:
        """Places, the drawn ones first."""
        rows, errors = view.features, _errors(view.probabilities)
        squares = np.square(errors).sum(axis=1) * np.square(rows).sum(axis=1)
        far = squares.copy()  # squared distance to the nearest pick; to the origin before there is one
        picked = [int(far.argmax())]
        for _ in range(view.front):
            pick = picked[-1]
            products = (errors @ errors[pick]) * (rows @ rows[pick])
            far = np.minimum(far if len(picked) > 1 else np.inf, squares + squares[pick] - 2 * products)
            far[picked] = 0
            far = np.where(far > 1e-9, far, 0)  # below it is rounding
            if far.sum() == 0 or len(picked) == view.front:
                break
            picked.append(int(view.generator.choice(far.size, p=far / far.sum())))
        far[picked] = -1
        return np.concatenate([np.array(picked), descending(far)[: far.size - len(picked)]])


def _errors(probabilities: Floats) -> Floats:
    """What the guess would have each class's probability changed by, float32 [n, C]."""
    errors = probabilities.astype(np.float32)
    errors[np.arange(len(errors)), errors.argmax(axis=1)] -= 1
    return errors
