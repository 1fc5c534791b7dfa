"""How often people agree with what a version predicted before they answered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labelloop.errors import LearningError
from labelloop.learning.intervals import Interval, wilson


@dataclass(frozen=True, slots=True)
class Agreement:
    """A version against the labels that came after it.

    It costs nothing and the version cannot have learnt from these labels. Two things bias it: people who see a prediction tend to
    take it over, which raises it (labelling blind avoids that); and the strategy serves what the model is least sure of, which
    lowers it.

    Attributes:
        same: labels that are what the version predicted.
        items: labels compared.
        interval: 95 % interval of the share (Wilson, 1927).
    """

    same: int
    items: int
    interval: Interval

    @property
    def share(self) -> float:
        """Share that agrees, in [0, 1]; 0 of no items."""
        return self.same / max(self.items, 1)


def agreement_of(predicted: Sequence[str], said: Sequence[str]) -> Agreement | None:
    """Compare predicted classes with the labels people gave the same items; None where there is no item.

    A label of a class that the version does not know counts as disagreement, as it is one.

    Raises:
        LearningError: the two are not of the same items.
    """
    if len(predicted) != len(said):
        raise LearningError(f"There are {len(predicted)} predictions for {len(said)} labels.")
    same = sum(one == other for one, other in zip(predicted, said, strict=True))
    return _agreement(same, len(said))


def pooled(parts: Iterable[Agreement]) -> Agreement | None:
    """The agreement of several versions, each with labels of its own, as one; None where there is no item."""
    found = list(parts)
    return _agreement(sum(part.same for part in found), sum(part.items for part in found))


def _agreement(same: int, items: int) -> Agreement | None:
    return Agreement(same, items, wilson(same, items)) if items else None
