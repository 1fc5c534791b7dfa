"""Between the plain head and those tried beside it: the mean of their logits, the better ones weighing more."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, Final, Self

import numpy as np

from labelloop.learning.arrays import Array, Floats, Ints
from labelloop.learning.choice import TrackRecord
from labelloop.learning.folds import deal_out
from labelloop.learning.heads import STORED, Head, LinearHead, Recipe, Tested, arrays_of, restore_head

BLEND: Final = "blend"
# Measured as for the recipes, with equal weights; to weigh by what is expected gains a little more.
BLEND_TRACK_RECORD: Final = TrackRecord(
    (0.071, 0.080, 0.046, 0.016, 0.001, 0.004), (0.114, 0.102, 0.054, 0.049, 0.037, 0.031)
)
# The mean of two lies between them; of three it is better than most.
LEAST: Final = 3
# A head that is expected to be right so much more often weighs e times as much. Over 24 data sets 0.03 to 0.08 do equally well:
# 0.4 points better than to take the head that is expected to do best, and 0.2 better than equal weights.
EVENNESS: Final = 0.05
# A head that is expected to be right so much less often than the plain one is refused: it does not weigh at all.
REFUSED: Final = 0.05
# Parts of the tested rows, each of which what is told of it is decided without.
PARTS: Final = 10

Gains = Callable[[Ints], Mapping[str, float]]
"""What each head, by name, is expected to get right more than the plain one, without the answers to the given rows of the lesson."""


class BlendHead:
    """Logits are weighted sums of other heads'.

    Args:
        parts: weight and head of each.
    """

    kind: ClassVar[str] = BLEND

    def __init__(self, parts: Sequence[tuple[float, Head]]) -> None:
        self._parts = tuple(parts)

    def logits(self, rows: Floats) -> Floats:
        """Logits [m, C] of rows [m, d]."""
        total: Floats = np.sum([weight * head.logits(rows) for weight, head in self._parts], axis=0)
        return total

    def arrays(self) -> dict[str, Array]:
        """The parts' arrays, each name after its part's number."""
        return {f"{n}.{name}": a for n, (_, head) in enumerate(self._parts) for name, a in head.arrays().items()}

    def meta(self) -> dict[str, Any]:
        """The parts' kinds and weights, as JSON values."""
        parts = [{"kind": head.kind, "head": head.meta(), "weight": weight} for weight, head in self._parts]
        return {"parts": parts}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> Self:
        """Restore what `arrays` and `meta` gave."""
        parts = [
            (part["weight"], restore_head(part["kind"], arrays_of(arrays, str(number)), part["head"]))
            for number, part in enumerate(meta["parts"])
        ]
        return cls(parts)


@dataclass(frozen=True, slots=True)
class Blend:
    """The mean of several heads.

    Attributes:
        tested: the mean head, and the mean of what its parts' heads said of the rows that all were tested on, weighted for each
            tenth of them without these.
        shares: how much each part weighs, by name, together 1; 0: it is refused.
    """

    tested: Tested
    shares: Mapping[str, float]


def shares(gains: Mapping[str, float]) -> dict[str, float]:
    """How much each head weighs, together 1: exponential weights (Vovk, 1990), by what it is expected to get right more.

    Args:
        gains: by name; 0 of the plain head.
    """
    weights = {name: float(np.exp(gain / EVENNESS)) if gain >= -REFUSED else 0.0 for name, gain in gains.items()}
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def blend(parts: Sequence[tuple[Recipe, Tested]], gains: Gains, targets: Ints, seed: int) -> Blend | None:
    """The geometric mean of what several heads say (Genest and Zidek, 1986), each at its recipe's usual temperature.

    The heads err in different places: one overrates the labels, another the clusters. To weigh them by what little is known of
    each does better than to choose by it. Linear parts are served as one.

    Args:
        parts: recipes and what they gave; ensembles are left out.
        gains: of each part's head.
        targets: int [n], of the lesson's rows.
        seed: deals out the tested rows.

    Returns:
        The mean; None where fewer than `LEAST` heads are left, or one alone weighs.
    """
    parts = [(recipe, tested) for recipe, tested in parts if tested.head.kind in STORED]
    if len(parts) < LEAST:
        return None
    rows = reduce(np.intersect1d, [tested.rows for _, tested in parts])

    def shares_without(left_out: Ints) -> dict[str, float]:
        expected = gains(left_out)
        return shares({recipe.name: expected[recipe.name] for recipe, _ in parts})

    def weights(share: Mapping[str, float]) -> list[float]:
        return [share[recipe.name] / recipe.usual_temperature for recipe, _ in parts]

    by_all = shares_without(rows[:0])
    if np.count_nonzero(list(by_all.values())) < 2:
        return None
    said = np.stack([tested.logits[np.searchsorted(tested.rows, rows)] for _, tested in parts])
    logits = np.zeros(said.shape[1:])
    tenth = tenths(targets[rows], seed)
    for number in np.unique(tenth):
        without = weights(shares_without(rows[tenth == number]))
        logits[tenth == number] = np.tensordot(without, said[:, tenth == number], axes=1)
    weighing = [(w, tested.head) for w, (_, tested) in zip(weights(by_all), parts, strict=True) if w]
    return Blend(Tested(BlendHead(_joined(weighing)), rows, logits, parts[0][1].strength), by_all)


def tenths(targets: Ints, seed: int) -> Ints:
    """A part for each row, int [n], by their targets int [n]: each has some of all classes."""
    return deal_out([(target,) for target in targets.tolist()], PARTS, seed)


def _joined(parts: Sequence[tuple[float, Head]]) -> list[tuple[float, Head]]:
    """The parts with those that are linear as one."""
    linear = [(weight, head) for weight, head in parts if isinstance(head, LinearHead)]
    others = [(weight, head) for weight, head in parts if not isinstance(head, LinearHead)]
    if not linear:
        return others
    weights: Floats = np.sum([weight * head.weights for weight, head in linear], axis=0)
    bias: Floats = np.sum([weight * head.bias for weight, head in linear], axis=0)
    return [(1.0, LinearHead(weights, bias)), *others]
