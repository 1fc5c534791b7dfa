"""The choice between the plain supervised head and those trained beside it, on items that none of them has seen."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Floats, Ints

# No single item may decide: its loss counts as that of this probability at most.
FLOOR: Final = 0.02
# Standard errors by which a candidate's gain must lie above zero, so that noise does not switch.
MARGIN: Final = 0.25
# Fewer items than this tell nothing of their own noise.
LEAST: Final = 5
# What a natural unit of log loss is worth, as a share of the items answered right.
WORTH: Final = 0.5
# Both figures come of the same items, which others were trained on: each counts as if they were half as many.
NOISE: Final = 2.0
# The least share of items that two heads answer differently, and the least error of a log loss: a handful of items that
# agree do not prove that the next would.
LEAST_APART: Final = 0.02
LEAST_ERROR: Final = 0.02
# What an average of all heads may be expected to lose and still be taken: it errs less than the figures that speak against it.
TOLERATED: Final = 0.02

# Labels a class for which a `TrackRecord` tells what was gained.
LABELS_A_CLASS: Final = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class Prior:
    """What a way of training is expected to gain, beside the supervised head.

    Attributes:
        gain: mean share of items it gets right more, in [-1, 1].
        spread: standard deviation from case to case.
    """

    gain: float
    spread: float


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """What a way of training has gained on other data sets, beside the supervised head: less, the more labels a class has.

    Measured on 24 of them with three draws of labels each: clusters of any number and overlap, planes without clusters, classes
    that cut through clusters, scikit-learn's wine, iris and breast_cancer, sentences by intent and by whether they name
    something, and cells of blood.

    Attributes:
        gains: mean share of items it got right more with so many labels a class as `LABELS_A_CLASS` says, in [-1, 1].
        spreads: standard deviation of that from case to case.
    """

    gains: tuple[float, ...]
    spreads: tuple[float, ...]

    def at(self, labels_a_class: float) -> Prior:
        """What is to be expected with so many labels a class, between those it was measured with by their logarithm."""
        place, places = np.log2(labels_a_class), np.log2(LABELS_A_CLASS)
        return Prior(*(float(np.interp(place, places, values)) for values in (self.gains, self.spreads)))


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
        expected: share of items that it is expected to get right more on new ones, by what is known of it and by these
            items; None: nothing was known of it.
    """

    name: str
    items: int
    gain: float
    error: float
    right: int
    supervised_right: int
    expected: float | None = None

    @property
    def worth(self) -> float:
        """Share of items that it is expected to get right more; where nothing was known of it, what its log loss is worth."""
        return WORTH * self.gain if self.expected is None else self.expected

    @property
    def wins(self) -> bool:
        """Whether it is expected to do better than the supervised head, or has proved it where nothing was known of it."""
        return self.clear if self.expected is None else self.expected > 0

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


def expect(comparison: Comparison, prior: Prior | None, apart: float) -> Comparison:
    """The comparison with what the candidate is expected to gain on new items: the mean of a normal posterior.

    The prior, the difference of right answers and the log loss saved, times its worth, are averaged by their precisions, so
    that a candidate which usually helps is taken where few labels can tell, and left where they say it hurts.

    Args:
        comparison: the figures on the same items.
        prior: what it has gained elsewhere; None: nothing is known, and nothing is expected.
        apart: share of items that the two answer differently, in [0, 1]: what the difference of right answers varies by.
    """
    if prior is None:
        return comparison
    evidence = [(prior.gain, prior.spread**2)]
    if comparison.items:
        right = (comparison.right - comparison.supervised_right) / comparison.items
        evidence.append((right, NOISE * max(apart, LEAST_APART) / comparison.items))
        error = max(comparison.error, LEAST_ERROR)
        evidence.append((WORTH * comparison.gain, NOISE * (WORTH * error) ** 2))
    precisions = np.array([1 / variance for _, variance in evidence])
    expected = float(precisions @ np.array([gain for gain, _ in evidence]) / precisions.sum())
    return replace(comparison, expected=round(expected, 4))


def choose(
    supervised: str,
    comparisons: Sequence[Comparison],
    allowed: Collection[str],
    failed: Mapping[str, str],
    average: str = "",
) -> Choice:
    """The candidate that is expected to gain most among those that win, else the supervised head.

    Args:
        supervised: name of the supervised head.
        comparisons: the candidates.
        allowed: names of those that may win; the others lose on the holdout, or are part of the average.
        failed: why, by name, of candidates that could not be trained.
        average: name of the candidate that averages others; it wins unless it is expected to lose more than `TOLERATED`.
    """
    winners = [
        one
        for one in comparisons
        if one.name in allowed and (one.wins or (one.name == average and one.worth > -TOLERATED))
    ]
    if winners:
        best = max(winners, key=lambda one: one.worth)
        return Choice(best.name, f"{_verdict(best, supervised)}: {_figures(best)}.", tuple(comparisons), dict(failed))
    tried = "; ".join(f"{comparison.name} {_figures(comparison)}" for comparison in comparisons)
    untrained = "; ".join(f"{name} could not be trained ({why})" for name, why in failed.items())
    reason = "; ".join(filter(None, [tried, untrained])) or "no candidate was tried"
    return Choice(supervised, f"{supervised} stays: {reason}.", tuple(comparisons), dict(failed))


def _verdict(best: Comparison, supervised: str) -> str:
    """Whether these items show that it is better, or it is taken for what it usually gains."""
    if best.clear:
        return f"{best.name} beats {supervised}"
    if not best.wins:
        return f"{best.name} is no worse than {supervised} by what can be told"
    return f"{best.name} is expected to beat {supervised}, as it usually does"


def _figures(comparison: Comparison) -> str:
    if not comparison.items:
        figures = "no label could be held back"
    else:
        figures = (
            f"{comparison.right} of {comparison.items} labels right against {comparison.supervised_right}, "
            f"log loss {-comparison.gain:+.3f} ± {comparison.error:.3f}"
        )
    expected = comparison.expected
    return figures if expected is None else f"{figures}, {100 * expected:+.1f} points expected"


def _losses(probabilities: Floats, targets: Ints) -> Floats:
    losses: Floats = -np.log(np.maximum(probabilities[np.arange(len(targets)), targets], FLOOR))
    return losses
