"""The answer to "can we stop?": a verdict and one sentence with the figures it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from labelloop.learning.figures import Measured
from labelloop.learning.intervals import Interval, wilson
from labelloop.learning.pool_accuracy import PoolAccuracy
from labelloop.learning.stopping.curve import LEAST_POINTS, Trend
from labelloop.learning.stopping.forecast import Forecast
from labelloop.learning.stopping.stability import Stability

# Predictions are stable when the last three comparisons have this mean kappa (Bloodgood and Vijay-Shanker, 2009), …
STABLE_KAPPA: Final = 0.99
STABLE_FOR: Final = 3
# … each on enough items to tell 0.99 from 0.95, and over about as many labels as theirs: two labels change little by themselves.
STABLE_ITEMS: Final = 100
STABLE_APART: Final = 20
# Accuracy per 100 labels below which they are taken not to be worth their price.
WORTHWHILE: Final = 0.01


class Verdict(StrEnum):
    """What to do, the least finished first."""

    CANNOT_TELL = "cannot_tell"
    """Too little is known to say anything."""
    KEEP_GOING = "keep_going"
    """More labels are likely to help, or nothing shows that they would not."""
    COULD_STOP = "could_stop"
    """More labels change little."""
    BUDGET_SPENT = "budget_spent"
    """The labels, hours or money that were set are used up."""
    STOP_REACHED_TARGET = "stop_reached_target"
    """The accuracy that was set is reached for certain."""


DONE: Final = frozenset({Verdict.STOP_REACHED_TARGET, Verdict.BUDGET_SPENT})
"""The verdicts that follow from what was asked for, not from an estimate of what more labels bring."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What labelling has taken so far.

    Attributes:
        labels: items with a usable label.
        annotations: answers people gave, skips left out; with several annotators an item there are more than labels.
        hours: hours people spent, skips included.
    """

    labels: int = 0
    annotations: int = 0
    hours: float = 0.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What labelling may take; 0 sets no limit.

    Attributes:
        labels: items with a label.
        hours: hours people spend.
        cost: money, in any currency.
        cost_per_label: money for one annotation.
    """

    labels: int = 0
    hours: float = 0.0
    cost: float = 0.0
    cost_per_label: float = 0.0

    def used_up(self, spent: Spent) -> str:
        """The first limit that is reached, as a phrase; empty while none is."""
        cost = spent.annotations * self.cost_per_label
        if 0 < self.labels <= spent.labels:
            return f"{spent.labels} of {self.labels} labels"
        if 0 < self.hours <= spent.hours:
            return f"{spent.hours:.1f} of {self.hours:.1f} hours"
        if 0 < self.cost <= cost:
            return f"{cost:.2f} of {self.cost:.2f} for {spent.annotations} annotations"
        return ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one control.

    Attributes:
        metrics: of the live version, those to go by; None before it is judged.
        versions: how many versions have been judged.
        trend: of the last versions; None when there are too few.
        forecast: of the next labels; None when there are too few versions.
        stability: comparisons of versions with earlier ones, the oldest first.
        pool: what it is estimated to reach on the pool; None where too few labels test it.
    """

    metrics: Measured | None = None
    versions: int = 0
    trend: Trend | None = None
    forecast: Forecast | None = None
    stability: Sequence[Stability] = ()
    pool: PoolAccuracy | None = None


@dataclass(frozen=True, slots=True)
class StoppingAdvice:
    """Whether to stop.

    Attributes:
        verdict: what to do.
        sentence: one sentence with the figures, for people.
        trend: of the last versions, where there are enough.
        forecast: of the next labels, where there are enough versions.
        stability: the latest comparison of versions that counts.
    """

    verdict: Verdict
    sentence: str
    trend: Trend | None = None
    forecast: Forecast | None = None
    stability: Stability | None = None


def advise(
    evidence: Evidence, target: float = 0.0, budget: Budget | None = None, spent: Spent | None = None
) -> StoppingAdvice:
    """Weigh what is known.

    Reached is a target when the lower end of the accuracy's interval is at or above it: of the accuracy on the pool where that is
    known, since the pool is what the model would label in people's stead. Labelling could stop when the predictions
    have settled and the accuracy does not rise for certain, or when neither the trend nor the forecast leaves room for a
    point of accuracy in 100 labels. A figure that is too uncertain to show that is a reason to go on. This is asked after every
    version, and each time anew: a target that is nearly reached is called reached too early in more than one of forty projects.

    Args:
        evidence: of the control.
        target: accuracy wanted, in [0, 1]; 0: none.
        budget: what labelling may take; None: anything.
        spent: what it has taken.
    """
    settled = [one for one in evidence.stability if one.items >= STABLE_ITEMS and one.labels_apart >= STABLE_APART]
    verdict, reason = _verdict(evidence, target, (budget or Budget()).used_up(spent or Spent()), settled)
    return StoppingAdvice(verdict, reason, evidence.trend, evidence.forecast, settled[-1] if settled else None)


def combine(advices: Mapping[str, StoppingAdvice]) -> StoppingAdvice:
    """The advice for a project of several controls: that of the control which is finished least, by whose name it is told."""
    if not advices:
        return StoppingAdvice(Verdict.CANNOT_TELL, "Cannot tell yet: nothing has been learnt.")
    order = list(Verdict)
    name, least = min(advices.items(), key=lambda item: order.index(item[1].verdict))
    if len(advices) == 1:
        return least
    return StoppingAdvice(least.verdict, f"{name!r}: {least.sentence}", least.trend, least.forecast, least.stability)


def _verdict(evidence: Evidence, target: float, used_up: str, settled: list[Stability]) -> tuple[Verdict, str]:
    metrics = evidence.metrics
    reached = _accuracy(metrics, evidence.pool) if metrics else "no version has been judged"
    if metrics and 0 < target <= (evidence.pool.interval if evidence.pool else _interval(metrics)).low:
        return Verdict.STOP_REACHED_TARGET, f"Yes, the target of {target:.1%} is reached: {reached}."
    if used_up:
        return Verdict.BUDGET_SPENT, f"Yes, the budget is spent, {used_up}: {reached}."
    if metrics is None:
        return Verdict.CANNOT_TELL, "Cannot tell yet: no version has been judged."
    short = [f"the target of {target:.1%} is not certain yet"] if target > 0 else []
    figures = "; ".join([reached, *short, *_figures(evidence, settled)])
    if _no_more_to_gain(evidence, settled):
        return Verdict.COULD_STOP, f"You could: {figures}."
    if target > 0 or evidence.trend or evidence.forecast or settled:
        return Verdict.KEEP_GOING, f"Not yet: {figures}."
    return Verdict.CANNOT_TELL, f"Cannot tell yet: {figures}."


def _no_more_to_gain(evidence: Evidence, settled: list[Stability]) -> bool:
    trend, forecast, last = evidence.trend, evidence.forecast, settled[-STABLE_FOR:]
    stable = len(last) == STABLE_FOR and sum(one.kappa for one in last) / STABLE_FOR >= STABLE_KAPPA
    rising = trend is not None and trend.low > 0 and trend.slope >= WORTHWHILE
    flat = trend is not None and trend.high < WORTHWHILE
    return (stable and not rising) or (flat and forecast is not None and forecast.high < WORTHWHILE)


def _figures(evidence: Evidence, settled: list[Stability]) -> list[str]:
    said = []
    if evidence.forecast:
        f = evidence.forecast
        said.append(
            f"the next {f.ahead} labels would bring {100 * f.gain:.1f} points ({100 * f.low:.1f} to {100 * f.high:.1f})"
        )
    else:
        judged = f"{evidence.versions} version{'' if evidence.versions == 1 else 's'} judged"
        said.append(f"{judged}, and a forecast needs {LEAST_POINTS} over a growing set of labels")
    if settled:
        last = settled[-1]
        said.append(
            f"{last.changed:.1%} of {last.items} predictions changed over the last {last.labels_apart} labels "
            f"(kappa {last.kappa:.3f})"
        )
    if evidence.trend:
        trend = evidence.trend
        reach = f"{100 * trend.low:+.1f} to {100 * trend.high:+.1f}"
        said.append(f"the last {trend.points} versions gained {100 * trend.slope:+.1f} points per 100 labels ({reach})")
    return said


def _accuracy(metrics: Measured, pool: PoolAccuracy | None) -> str:
    said = (
        f"{metrics.name} {metrics.value:.1%} ({_range(_interval(metrics))}, {metrics.source}, {metrics.items} labels)"
    )
    return said + (f", about {pool.accuracy:.1%} ({_range(pool.interval)}) on the pool" if pool else "")


def _range(interval: Interval) -> str:
    return f"{interval.low:.1%} to {interval.high:.1%}"


def _interval(metrics: Measured) -> Interval:
    return metrics.interval or wilson(metrics.value * metrics.items, metrics.items)
