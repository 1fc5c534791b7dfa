"""What the cells of a simulation say together: mean curves, labels saved, and what was bought."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.simulation.results import Cell

METRICS: Final = ("accuracy", "macro_f1", "ece", "log_loss")
# Labels saved are told at the accuracies the baseline reaches with these shares of the budget.
SHARES: Final = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure against the labels bought, over all seeds of a strategy.

    Attributes:
        strategy: its name.
        labels: after each round.
        mean: over the seeds.
        error: standard error of the mean; 0 for one seed, of which nothing is known.
        seeds: how many.
    """

    strategy: str
    labels: tuple[int, ...]
    mean: tuple[float, ...]
    error: tuple[float, ...]
    seeds: int


@dataclass(frozen=True, slots=True)
class Saving:
    """How many labels a strategy needs for what the baseline reaches.

    Attributes:
        strategy: its name.
        accuracy: the mean accuracy to be reached.
        baseline: labels after which the baseline's mean reaches it first.
        needed: labels after which the strategy's does; None: not within the budget.
        at_most: the first round reaches it already, so fewer labels might do.
        place: of the round after which the baseline's mean is that accuracy.
    """

    strategy: str
    accuracy: float
    baseline: float
    needed: float | None
    at_most: bool = False
    place: int = 0

    @property
    def saved(self) -> float | None:
        """Share of the baseline's labels that are saved, negative where more are needed.

        None where it is not reached, and where both reach it in their first round, after which both have as many labels.
        """
        if self.needed is None or (self.at_most and self.needed == self.baseline):
            return None
        return 1 - self.needed / self.baseline


def curve_of(cells: Sequence[Cell], strategy: str, metric: str = "accuracy") -> Curve:
    """The mean and its standard error over the seeds of one strategy; at least one cell is of it."""
    own = [cell for cell in cells if cell.strategy == strategy]
    values = np.array([[getattr(played, metric) for played in cell.rounds] for cell in own])
    spread = values.std(axis=0, ddof=1) / np.sqrt(len(own)) if len(own) > 1 else np.zeros(values.shape[1])
    labels = tuple(played.labels for played in own[0].rounds)
    return Curve(strategy, labels, tuple(values.mean(axis=0).tolist()), tuple(spread.tolist()), len(own))


def labels_to_reach(curve: Curve, value: float) -> float | None:
    """Labels after which the mean reaches a value first, in proportion between two rounds; None: never."""
    for place, reached in enumerate(curve.mean):
        if reached >= value - 1e-12:
            if place == 0:
                return float(curve.labels[0])
            before = curve.mean[place - 1]
            part = (value - before) / (reached - before)
            return curve.labels[place - 1] + part * (curve.labels[place] - curve.labels[place - 1])
    return None


def savings_of(curves: Sequence[Curve], baseline: str) -> list[Saving]:
    """Labels saved by each other strategy at the accuracies the baseline reaches along the budget."""
    reference = next(curve for curve in curves if curve.strategy == baseline)
    return [
        _saving(reference, curve, place) for place in _places(reference) for curve in curves if curve is not reference
    ]


def saved_error(cells: Sequence[Cell], saving: Saving, baseline: str) -> float | None:
    """Standard error of the share that is saved, by leaving out each seed in turn (the jackknife).

    None: not known, because there is one seed only, or because without one of them nothing can be told of what is saved.
    """
    seeds = sorted({cell.seed for cell in cells})
    if len(seeds) < 2 or saving.saved is None:
        return None
    without = [_saved_without(seed, cells, saving, baseline) for seed in seeds]
    told = [share for share in without if share is not None]
    return float(np.std(told) * np.sqrt(len(seeds) - 1)) if len(told) == len(seeds) else None


def _saved_without(seed: int, cells: Sequence[Cell], saving: Saving, baseline: str) -> float | None:
    others = [cell for cell in cells if cell.seed != seed]
    return _saving(curve_of(others, baseline), curve_of(others, saving.strategy), saving.place).saved


def _saving(reference: Curve, curve: Curve, place: int) -> Saving:
    value = reference.mean[place]
    spent = labels_to_reach(reference, value) or float(reference.labels[place])
    return Saving(curve.strategy, value, spent, labels_to_reach(curve, value), curve.mean[0] >= value, place)


def _places(reference: Curve) -> list[int]:
    """Rounds at whose accuracies labels are compared, ascending, and once those that are told alike."""
    labels = np.array(reference.labels)
    rounds = sorted({int(np.abs(labels - share * labels[-1]).argmin()) for share in SHARES})
    return [place for _, place in sorted({round(reference.mean[place], 3): place for place in rounds}.items())]


def class_shares(cells: Sequence[Cell], strategy: str) -> Floats:
    """Share of each class among the labels bought after each round, mean over the seeds, [rounds, C]; rows sum to 1."""
    counts = np.array([[played.counts for played in cell.rounds] for cell in cells if cell.strategy == strategy])
    shares: Floats = (counts / counts.sum(axis=2, keepdims=True)).mean(axis=0)
    return shares


def balance_of(cells: Sequence[Cell], strategy: str) -> list[float]:
    """How even the classes are among the labels after each round, in [0, 1]: entropy by log C, mean over the seeds."""
    counts = np.array([[played.counts for played in cell.rounds] for cell in cells if cell.strategy == strategy])
    shares = counts / counts.sum(axis=2, keepdims=True)
    entropy = -(shares * np.log(np.maximum(shares, np.finfo(float).tiny))).sum(axis=2) / np.log(max(counts.shape[2], 2))
    even: list[float] = np.clip(entropy.mean(axis=0), 0.0, 1.0).tolist()
    return even


def summary_of(
    cells: Sequence[Cell], strategies: Sequence[str], baseline: str, classes: Sequence[str]
) -> dict[str, Any]:
    """Everything the cells say together, as JSON values."""
    curves = {metric: [curve_of(cells, name, metric) for name in strategies] for metric in METRICS}
    savings = savings_of(curves["accuracy"], baseline)
    return {
        "curves": {metric: [_curve_json(curve) for curve in found] for metric, found in curves.items()},
        "savings": [
            {
                "strategy": saving.strategy,
                "accuracy": saving.accuracy,
                "baseline_labels": saving.baseline,
                "labels": saving.needed,
                "at_most": saving.at_most,
                "saved": saving.saved,
                "saved_standard_error": saved_error(cells, saving, baseline),
            }
            for saving in savings
        ],
        "bought": [
            {
                "strategy": name,
                "balance": balance_of(cells, name),
                "shares": dict(zip(classes, class_shares(cells, name).T.tolist(), strict=True)),
            }
            for name in strategies
        ],
    }


def _curve_json(curve: Curve) -> dict[str, Any]:
    return {
        "strategy": curve.strategy,
        "labels": list(curve.labels),
        "mean": list(curve.mean),
        "standard_error": list(curve.error),
        "seeds": curve.seeds,
    }
