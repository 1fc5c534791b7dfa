"""Folds of items: how many, which item is in which, what is trained without each of them, and what it can be judged on."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import numpy as np

from labelloop.learning.arrays import Bools, Ints
from labelloop.learning.threads import side_by_side

Made = TypeVar("Made")

FOLDS: Final = 5
# Up to so many rows the folds are more, so that what is tested has lost little of what it learns from.
FEW_ROWS: Final = 50
MORE_FOLDS: Final = 10
# Beyond so many rows one fold holds enough to judge by, and all of them would take several times as long.
ALL_FOLDS_UP_TO: Final = 2000


def plan_folds(rows: int, usual: int = FOLDS) -> tuple[int, range]:
    """Into how many folds so many rows are dealt out, and which of these are tested."""
    folds = MORE_FOLDS if rows <= FEW_ROWS else usual
    return folds, range(folds if rows <= ALL_FOLDS_UP_TO else 1)


def deal_out(kinds: Sequence[tuple[int, ...]], folds: int, seed: int, groups: Ints | None = None) -> Ints:
    """A fold for each item, int [n]; items of the same classes are dealt out in turn, so that each fold has some of all.

    Near-duplicates go together, with that of them which has the most classes: one would tell how well the others are known.

    Args:
        kinds: the classes of each of n items.
        folds: how many there are.
        seed: decides the order.
        groups: int [n], the number of each item's group of near-duplicates; None: there are none.
    """
    order = np.random.default_rng(seed).permutation(len(kinds))
    fold = np.empty(len(kinds), dtype=np.int64)
    ranked = sorted(order.tolist(), key=lambda i: (-len(kinds[i]), kinds[i]))
    dealt: dict[int, int] = {}
    for item, group in zip(ranked, ranked if groups is None else groups[ranked].tolist(), strict=True):
        fold[item] = dealt.setdefault(group, len(dealt) % folds)
    return fold


def deal_in_order(values: Ints | Bools, parts: int) -> Ints:
    """A part for each item, int [n]: items of equal values are dealt out in turn, in their own order."""
    part = np.empty(len(values), dtype=np.int64)
    part[np.argsort(values, kind="stable")] = np.arange(len(values)) % parts
    return part


def first_of_each(groups: Ints) -> Ints:
    """For each item, int [n], the place of the first of its group."""
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    places: Ints = first[group]
    return places


def to_judge(groups: Ints, taught: Bools | None = None) -> Bools:
    """Which items tell how good a model is on others, bool [n]: the first of each group of near-duplicates.

    Of a group that a backbone has learnt from, none: of the like of what it knows it is too sure.

    Args:
        groups: int [n], the number of each item's group.
        taught: bool [n], whether the backbone has learnt from it; None: from none.
    """
    first: Bools = first_of_each(groups) == np.arange(len(groups))
    return first if taught is None else np.asarray(first & ~np.isin(groups, groups[taught]))


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
