"""The choice between the plain supervised head and those trained beside it, on items that none of them has seen."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Floats, Ints

# No single item may decide: its loss counts as that of this probability at most.
FLOOR: Final = 0.02
# Standard errors by which a candidate's gain must lie above zero, so that noise does not switch.
MARGIN: Final = 0.25
# Fewer items than this tell nothing of their own noise.
LEAST: Final = 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """One candidate beside the supervised head, on the same items.

    Attributes:
        name: the candidate.
        items: how many.
        gain: mean log loss that it saves (natural); negative: it costs.
        error: standard error of the gain.
        right: items it gets right.
        supervised_right: items the supervised head gets right.
    """

    name: str
    items: int
    gain: float
    error: float
    right: int
    supervised_right: int

    @property
    def clear(self) -> bool:
        """Whether the gain is more than noise, and no more items are lost than noise would take."""
        lost = self.supervised_right - self.right
        enough = self.items >= LEAST and self.gain > MARGIN * self.error
        return bool(enough and lost <= np.sqrt(self.items) / 2)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen and why.

    Attributes:
        method: the winner's name.
        reason: one sentence with the figures.
        comparisons: every candidate that was tried.
        failed: why, by name, of candidates that could not be trained.
    """

    method: str
    reason: str
    comparisons: tuple[Comparison, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The choice as JSON values."""
        compared = [asdict(comparison) for comparison in self.comparisons]
        return {"method": self.method, "reason": self.reason, "comparisons": compared, "failed": self.failed}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Choice":
        """Read what `to_json` wrote."""
        compared = tuple(Comparison(**figures) for figures in value["comparisons"])
        return cls(value["method"], value["reason"], compared, dict(value["failed"]))


def compare(name: str, candidate: Floats, supervised: Floats, targets: Ints) -> Comparison:
    """Put a candidate's probabilities [k, C] beside the supervised head's on the same k items."""
    if not len(targets):
        return Comparison(name, 0, 0.0, 0.0, 0, 0)
    saved = _losses(supervised, targets) - _losses(candidate, targets)
    spread = float(saved.std(ddof=1)) if saved.size > 1 else float(np.abs(saved).sum())
    return Comparison(
        name,
        len(targets),
        round(float(saved.mean()), 4),
        round(spread / float(np.sqrt(saved.size)), 4),
        int((candidate.argmax(axis=1) == targets).sum()),
        int((supervised.argmax(axis=1) == targets).sum()),
    )


def choose(
    supervised: str,
    comparisons: Sequence[Comparison],
    allowed: Collection[str],
    failed: Mapping[str, str],
) -> Choice:
    """The candidate that gains most among those whose gain is clear, else the supervised head.

    Args:
        supervised: name of the supervised head.
        comparisons: the candidates.
        allowed: names of those that may win; the others lose on the holdout.
        failed: why, by name, of candidates that could not be trained.
    """
    clear = [comparison for comparison in comparisons if comparison.clear and comparison.name in allowed]
    if clear:
        best = max(clear, key=lambda comparison: comparison.gain)
        return Choice(best.name, f"{best.name} beats {supervised}: {_figures(best)}.", tuple(comparisons), dict(failed))
    tried = "; ".join(f"{comparison.name} {_figures(comparison)}" for comparison in comparisons)
    untrained = "; ".join(f"{name} could not be trained ({why})" for name, why in failed.items())
    reason = "; ".join(filter(None, [tried, untrained])) or "no candidate was tried"
    return Choice(supervised, f"{supervised} stays: {reason}.", tuple(comparisons), dict(failed))


def _figures(comparison: Comparison) -> str:
    return (
        f"{comparison.right} of {comparison.items} labels right against {comparison.supervised_right}, "
        f"log loss {-comparison.gain:+.3f} ± {comparison.error:.3f}"
    )


def _losses(probabilities: Floats, targets: Ints) -> Floats:
    losses: Floats = -np.log(np.maximum(probabilities[np.arange(len(targets)), targets], FLOOR))
    return losses
