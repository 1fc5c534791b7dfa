"""The head that is several heads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from labelloop.learning.arrays import Array, Floats
from labelloop.learning.calibration import Calibration
from labelloop.learning.ensembles.combining import TINY, side_by_side, vote, weighted
from labelloop.learning.heads import arrays_of, restore_head
from labelloop.learning.heads.base import Head
from labelloop.learning.heads.linear import LinearHead


@dataclass(frozen=True, slots=True)
class Member:
    """One head of an ensemble.

    Attributes:
        name: the recipe that trained it.
        head: the head.
        calibration: makes probabilities of its logits.
        columns: the columns of the rows that it reads: one backbone's features.
        scale: what brings these columns to length 1.
    """

    name: str
    head: Head
    calibration: Calibration
    columns: tuple[int, int]
    scale: float

    def probabilities(self, rows: Floats) -> Floats:
        """Calibrated probabilities [m, C] of rows [m, d]."""
        own = rows[:, slice(*self.columns)]
        return self.calibration.probabilities(
            self.head.logits(own if self.scale == 1 else own * np.float32(self.scale))
        )


class EnsembleHead:
    """Several calibrated heads and how they are combined.

    Args:
        members: at least one.
        combination: `average`, `weighted`, `vote` or `stacking`.
        weights: [k], of `weighted`; else equal.
        stacked: the meta-model of `stacking`; else None.
        failed: why, by name, members are missing.
    """

    kind: ClassVar[str] = "ensemble"

    def __init__(
        self,
        members: Sequence[Member],
        combination: str,
        weights: Floats,
        stacked: LinearHead | None = None,
        failed: Mapping[str, str] | None = None,
    ) -> None:
        self.members = tuple(members)
        self.combination = combination
        self.weights = weights
        self.failed = dict(failed or {})
        self._stacked = stacked

    def member_probabilities(self, rows: Floats) -> Floats:
        """What each member says, [k, m, C] of rows [m, d]."""
        return np.stack([member.probabilities(rows) for member in self.members])

    def logits(self, rows: Floats) -> Floats:
        """Logits [m, C] of rows [m, d]."""
        return combined_logits(self.member_probabilities(rows), self.combination, self.weights, self._stacked)

    def arrays(self) -> dict[str, Array]:
        """The members' arrays, each name after its member's number, and the combination's."""
        arrays: dict[str, Array] = {"member_weights": self.weights}
        for number, member in enumerate(self.members):
            own = {**member.head.arrays(), **member.calibration.arrays()}
            arrays.update({f"{number}.{name}": values for name, values in own.items()})
        if self._stacked:
            arrays.update({f"stacked.{name}": values for name, values in self._stacked.arrays().items()})
        return arrays

    def meta(self) -> dict[str, Any]:
        """The members' kinds and the combination, as JSON values."""
        members = [
            {
                "name": member.name,
                "kind": member.head.kind,
                "head": member.head.meta(),
                "calibration": member.calibration.method,
                "columns": list(member.columns),
                "scale": member.scale,
            }
            for member in self.members
        ]
        return {"combination": self.combination, "members": members, "failed": self.failed}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> Self:
        """Restore what `arrays` and `meta` gave."""
        members = [_restore(arrays_of(arrays, str(number)), member) for number, member in enumerate(meta["members"])]
        stacked = arrays_of(arrays, "stacked")
        return cls(
            members,
            meta["combination"],
            arrays["member_weights"],
            LinearHead.from_arrays(stacked, {}) if stacked else None,
            meta["failed"],
        )


def combined_logits(probabilities: Floats, combination: str, weights: Floats, stacked: LinearHead | None) -> Floats:
    """Logits [m, C] of the members' probabilities [k, m, C]."""
    if stacked is not None:
        return stacked.logits(side_by_side(probabilities))
    shares = vote(probabilities) if combination == "vote" else weighted(probabilities, weights)
    logits: Floats = np.log(np.maximum(shares, TINY))
    return logits


def _restore(arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> Member:
    return Member(
        meta["name"],
        restore_head(meta["kind"], arrays, meta["head"]),
        Calibration.from_arrays(arrays, meta["calibration"]),
        (meta["columns"][0], meta["columns"][1]),
        meta["scale"],
    )
