"""How much the predictions for the pool change from one version to the next."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labelloop.errors import LearningError


@dataclass(frozen=True, slots=True)
class Stability:
    """Two versions' predictions for the same items.

    Attributes:
        items: how many.
        changed: share whose predicted class differs, in [0, 1].
        kappa: agreement beyond chance, at most 1 (Cohen, 1960); 0 where chance alone explains it, as it does where both
            versions predict one and the same class for all.
        labels_apart: labels that the later version was given and the earlier was not.
    """

    items: int
    changed: float
    kappa: float
    labels_apart: int = 0


def stability_of(before: Sequence[str], after: Sequence[str], labels_apart: int = 0) -> Stability | None:
    """Compare what two versions predict for the same items (Bloodgood and Vijay-Shanker, 2009).

    Classes are compared by name, so the versions may have learnt different lists of them; a class that only one knows counts as
    any other change.

    Args:
        before: n predicted classes of the earlier version.
        after: those of the later one, of the same items in the same order.
        labels_apart: labels between the two.

    Returns:
        The comparison; None where there is no item.

    Raises:
        LearningError: the two are not of the same items.
    """
    if len(before) != len(after):
        raise LearningError(f"Two versions are compared on the same items, not on {len(before)} and {len(after)}.")
    if not before:
        return None
    names, numbers = np.unique(np.array([*before, *after]), return_inverse=True)
    first, second = numbers[: len(before)], numbers[len(before) :]
    same = float((first == second).mean())
    shares = [np.bincount(part, minlength=names.size) / len(before) for part in (first, second)]
    by_chance = float(shares[0] @ shares[1])
    kappa = (same - by_chance) / (1 - by_chance) if by_chance < 1 else 0.0
    return Stability(len(before), 1 - same, kappa, labels_apart)
