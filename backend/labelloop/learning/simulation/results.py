"""What a simulation records, plain enough to be kept as JSON lines."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Round:
    """One round: labels were bought, a candidate trained and judged, and the live model measured on the test items.

    Attributes:
        labels: labels bought so far.
        order: the strategy that chose this round's.
        bought: keys of this round's, in the order they were chosen.
        counts: labels so far by class, in the order of the classes.
        accuracy: in [0, 1]; as the other figures those of what is live: without a model, of the labels' own shares.
        macro_f1: in [0, 1].
        ece: in [0, 1].
        log_loss: natural, a probability counting as 1e-6 at least.
        published: the candidate went live.
        reason: why, or why not.
        method: the head that was chosen for the candidate; empty: none could be trained.
    """

    labels: int
    order: str
    bought: tuple[str, ...]
    counts: tuple[int, ...]
    accuracy: float
    macro_f1: float
    ece: float
    log_loss: float
    published: bool
    reason: str
    method: str


@dataclass(frozen=True, slots=True)
class Cell:
    """All rounds of one strategy under one seed.

    Attributes:
        strategy: its name.
        seed: of the split, the draws and the folds.
        rounds: in order.
        finish: what a last semi-supervised candidate brought; None: none was tried.
    """

    strategy: str
    seed: int
    rounds: tuple[Round, ...]
    finish: Round | None = None

    def to_json(self) -> dict[str, Any]:
        """The cell as JSON values; `from_json` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        finish = value["finish"]
        rounds = tuple(_round(record) for record in value["rounds"])
        return cls(value["strategy"], value["seed"], rounds, _round(finish) if finish else None)


def _round(record: Mapping[str, Any]) -> Round:
    return Round(**{**record, "bought": tuple(record["bought"]), "counts": tuple(record["counts"])})
