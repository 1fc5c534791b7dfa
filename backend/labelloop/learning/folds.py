"""Folds of items with several classes each, and what is trained without each of them."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from labelloop.learning.arrays import Bools, Ints
from labelloop.learning.threads import side_by_side

Made = TypeVar("Made")


def deal_out(kinds: Sequence[tuple[int, ...]], folds: int, seed: int) -> Ints:
    """A fold for each item, int [n]; items of the same classes are dealt out in turn, so that each fold has some of all."""
    order = np.random.default_rng(seed).permutation(len(kinds))
    fold = np.empty(len(kinds), dtype=np.int64)
    ranked = sorted(order.tolist(), key=lambda i: (-len(kinds[i]), kinds[i]))
    fold[ranked] = np.arange(len(kinds)) % folds
    return fold


def deal_in_order(values: Ints | Bools, parts: int) -> Ints:
    """A part for each item, int [n]: items of equal values are dealt out in turn, in their own order."""
    part = np.empty(len(values), dtype=np.int64)
    part[np.argsort(values, kind="stable")] = np.arange(len(values)) % parts
    return part


def with_each_left_out(
    make: Callable[[list[int], float, int], Made], fold: Ints, folds: int, share: float, seeds: Sequence[int]
) -> list[Made]:
    """What is made of all items with each seed, and then of those outside each fold with the first, side by side.

    Args:
        make: given rows, the share of the usual work to be done, and a seed.
        fold: int [n], of each item.
        folds: how many there are; 0: none is left out.
        share: of the usual work, where a fold is left out.
        seeds: at least one.
    """
    everything = [(list(range(len(fold))), 1.0, seed) for seed in seeds]
    rests = [(np.flatnonzero(fold != number).tolist(), share, seeds[0]) for number in range(folds)]
    return side_by_side(lambda one: make(*one), [*everything, *rests])
