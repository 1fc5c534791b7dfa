"""Whether labelling can stop: agreement, stability, the learning curve, and the advice drawn from them."""

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from labelloop.errors import LearningError
from labelloop.learning import Metrics
from labelloop.learning.intervals import wilson
from labelloop.learning.pool_accuracy import PoolAccuracy
from labelloop.learning.stopping import (
    Budget,
    CurvePoint,
    Evidence,
    Forecast,
    Spent,
    Stability,
    StoppingAdvice,
    Trend,
    Verdict,
    advise,
    agreement_of,
    combine,
    forecast_of,
    pooled,
    stability_of,
    trend_of,
)

# Agreement


def test_agreement_counts_what_people_said_as_predicted() -> None:
    found = agreement_of(["a", "b", "a", "a"], ["a", "b", "b", "never learnt"])
    assert found is not None
    assert (found.same, found.items, found.share) == (2, 4, 0.5)
    assert found.interval == wilson(2, 4)


def test_agreements_of_several_versions_are_one() -> None:
    parts = [agreement_of(["a"], ["a"]), agreement_of(["a", "b"], ["b", "a"])]
    both = pooled(part for part in parts if part)
    assert both is not None and (both.same, both.items) == (1, 3)
    assert pooled([]) is None
    assert agreement_of([], []) is None


def test_predictions_of_other_items_cannot_be_compared() -> None:
    with pytest.raises(LearningError, match="1 predictions for 2 labels"):
        agreement_of(["a"], ["a", "b"])
    with pytest.raises(LearningError, match="on 1 and 2"):
        stability_of(["a"], ["a", "b"])


# Stability


def test_kappa_agrees_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    before = generator.choice(["x", "y", "z"], 200, p=[0.6, 0.3, 0.1]).tolist()
    after = [label if generator.random() < 0.9 else "y" for label in before]
    found = stability_of(before, after, labels_apart=20)
    assert found is not None
    assert found.kappa == pytest.approx(cohen_kappa_score(before, after))
    assert found.changed == pytest.approx(np.mean([a != b for a, b in zip(before, after, strict=True)]))
    assert (found.items, found.labels_apart) == (200, 20)


def test_one_class_for_all_is_agreement_by_chance() -> None:
    found = stability_of(["a"] * 50, ["a"] * 50)
    assert found is not None and (found.kappa, found.changed) == (0.0, 0.0)


def test_versions_of_another_class_list_are_compared_by_name() -> None:
    found = stability_of(["travel", "food", "food"], ["journey", "food", "food"])
    assert found is not None and found.changed == pytest.approx(1 / 3)


def test_no_item_says_nothing() -> None:
    assert stability_of([], []) is None


# The learning curve


def curve(
    count: int, step: int = 40, items: int = 1000, noise: float = 0.0, rate: float = 0.7, seed: int = 0
) -> list[CurvePoint]:
    """Versions on the curve 0.95 - 2 * labels^-rate."""
    labels = 40 + step * np.arange(count)
    values = true_curve(labels, rate) + np.random.default_rng(seed).normal(size=count) * noise
    return [CurvePoint(int(n), float(value), items) for n, value in zip(labels, values, strict=True)]


def true_curve(labels: np.ndarray, rate: float = 0.7) -> np.ndarray:
    result: np.ndarray = 0.95 - 2 * labels.astype(float) ** -rate
    return result


def test_a_power_law_is_read_on() -> None:
    found = forecast_of(curve(12))
    gain = float(np.diff(true_curve(np.array([480, 580])))[0])
    assert found is not None
    assert found.gain == pytest.approx(gain, abs=0.002)
    assert (found.ahead, found.points) == (100, 12)


def test_the_forecast_holds_what_it_promises() -> None:
    gain = float(np.diff(true_curve(np.array([360, 460])))[0])
    found = [forecast_of(curve(9, noise=0.01, seed=seed)) for seed in range(60)]
    assert sum(one is not None and one.low <= gain <= one.high for one in found) >= 55


def test_few_items_and_much_noise_make_the_forecast_less_certain() -> None:
    exact, small, noisy = (
        forecast_of(points) for points in (curve(10), curve(10, items=30), curve(10, noise=0.03, seed=3))
    )
    assert exact is not None and small is not None and noisy is not None
    assert exact.high - exact.low < small.high - small.low
    assert exact.high - exact.low < noisy.high - noisy.low


@pytest.mark.parametrize("value", [0.0, 0.8, 1.0])
def test_a_level_curve_promises_nothing(value: float) -> None:
    found = forecast_of([CurvePoint(n, value, 500) for n in range(50, 500, 50)])
    assert found is not None and found.gain == pytest.approx(0.0, abs=1e-9)
    assert found.low >= 0.0


def test_a_falling_curve_promises_nothing_and_its_trend_falls() -> None:
    points = [CurvePoint(n, 0.9 - n / 2000, 2000) for n in range(50, 550, 50)]
    found, trend = forecast_of(points), trend_of(points)
    assert found is not None and found.gain == pytest.approx(0.0, abs=1e-9)
    assert trend is not None and trend.slope == pytest.approx(-0.05)


def test_too_few_points_give_no_forecast() -> None:
    assert forecast_of([]) is None
    assert forecast_of(curve(4)) is None
    assert forecast_of([CurvePoint(100, 0.1 * n, 50) for n in range(8)]) is None
    assert forecast_of([CurvePoint(100 + n, 0.8, 50) for n in range(8)]) is None
    assert trend_of([]) is None
    assert trend_of(curve(4)) is None
    assert trend_of([CurvePoint(100, 0.1 * n, 50) for n in range(8)]) is None


def test_points_that_are_no_numbers_are_left_out() -> None:
    broken = [CurvePoint(90, math.nan, 50), CurvePoint(91, math.inf, 50), CurvePoint(92, 0.5, 0), CurvePoint(0, 0.5, 9)]
    assert forecast_of([*curve(8), *broken]) == forecast_of(curve(8))
    assert trend_of([*curve(8), *broken]) == trend_of(curve(8))


def test_the_order_of_points_and_the_run_do_not_matter() -> None:
    points = curve(10, noise=0.01)
    assert forecast_of(points[::-1]) == forecast_of(points) == forecast_of(points)


def test_a_trend_is_of_the_later_half_and_knows_its_noise() -> None:
    rising, still = trend_of(curve(10, rate=0.4)), trend_of([CurvePoint(n, 0.9, 20) for n in range(100, 200, 10)])
    assert rising is not None and rising.low > 0
    assert still is not None and still.slope == pytest.approx(0.0, abs=1e-9)
    assert still.high > 0.05


# Advice


def metrics(right: int, items: int) -> Metrics:
    share = right / items
    return Metrics(items, share, share, 0.1, 0.1, {}, "holdout", wilson(right, items))


FLAT, RISING = Trend(0.001, -0.002, 0.004, 6), Trend(0.03, 0.02, 0.04, 6)
LITTLE, MUCH = Forecast(100, 0.002, 0.0, 0.005, 9), Forecast(100, 0.03, 0.01, 0.06, 9)
SETTLED = [Stability(800, 0.004, 0.995, 20)] * 3


def test_a_target_is_reached_when_the_whole_interval_is_above_it() -> None:
    evidence = Evidence(metrics(290, 300), 5, RISING, MUCH)
    assert advise(evidence, target=0.93).verdict is Verdict.STOP_REACHED_TARGET
    unsure = advise(evidence, target=0.96)
    assert unsure.verdict is Verdict.KEEP_GOING
    assert "target of 96.0% is not certain yet" in unsure.sentence
    assert "96.7%" in unsure.sentence


def test_a_target_is_for_the_pool_where_that_is_known() -> None:
    good, bad = (PoolAccuracy(share, wilson(round(share * 200), 200), 60, 40.0) for share in (0.99, 0.8))
    measured = metrics(80, 100)
    reached = advise(Evidence(measured, pool=good), target=0.95)
    assert reached.verdict is Verdict.STOP_REACHED_TARGET
    assert "about 99.0% (96.4% to 99.7%) on the pool" in reached.sentence
    assert advise(Evidence(metrics(299, 300), pool=bad), target=0.95).verdict is Verdict.KEEP_GOING


def test_metrics_of_an_earlier_release_reach_a_target_too() -> None:
    old = Metrics(300, 290 / 300, 0.9, 0.1, 0.1, {}, "holdout")
    assert advise(Evidence(old), target=0.93).verdict is Verdict.STOP_REACHED_TARGET


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (Budget(labels=200), "200 of 200 labels"),
        (Budget(hours=2.5), "2.6 of 2.5 hours"),
        (Budget(cost=50.0, cost_per_label=0.2), "52.00 of 50.00 for 260 annotations"),
    ],
)
def test_each_budget_can_be_spent(budget: Budget, said: str) -> None:
    spent = Spent(labels=200, annotations=260, hours=2.6)
    advice = advise(Evidence(metrics(80, 100)), budget=budget, spent=spent)
    assert advice.verdict is Verdict.BUDGET_SPENT
    assert said in advice.sentence
    assert advise(Evidence(), budget=budget, spent=spent).verdict is Verdict.BUDGET_SPENT
    assert advise(Evidence(metrics(80, 100)), budget=budget, spent=Spent(1, 1, 0.1)).verdict is Verdict.CANNOT_TELL


def test_without_limits_nothing_is_spent() -> None:
    assert Budget().used_up(Spent(10**6, 10**6, 10**6)) == ""


def test_settled_predictions_could_stop_unless_the_accuracy_rises() -> None:
    advice = advise(Evidence(metrics(90, 100), 6, None, None, SETTLED))
    assert advice.verdict is Verdict.COULD_STOP
    assert "0.4% of 800 predictions changed over the last 20 labels (kappa 0.995)" in advice.sentence
    assert advise(Evidence(metrics(90, 100), 6, RISING, MUCH, SETTLED)).verdict is Verdict.KEEP_GOING


@pytest.mark.parametrize(
    "stability",
    [
        SETTLED[:2],
        [Stability(99, 0.0, 1.0, 20)] * 3,
        [Stability(800, 0.0, 1.0, 19)] * 3,
        [*SETTLED, Stability(800, 0.05, 0.94, 20)],
        [Stability(800, 0.0, 0.0, 20)] * 3,
    ],
)
def test_predictions_are_not_settled_on_little_or_mixed_evidence(stability: list[Stability]) -> None:
    evidence = Evidence(metrics(90, 100), 6, FLAT, None, stability)
    assert advise(evidence).verdict is Verdict.KEEP_GOING


def test_a_plateau_needs_the_trend_and_the_forecast() -> None:
    measured = metrics(90, 100)
    plateau = advise(Evidence(measured, 9, FLAT, LITTLE))
    assert plateau.verdict is Verdict.COULD_STOP
    assert "the next 100 labels would bring 0.2 points (0.0 to 0.5)" in plateau.sentence
    assert advise(Evidence(measured, 9, FLAT, MUCH)).verdict is Verdict.KEEP_GOING
    assert advise(Evidence(measured, 9, RISING, LITTLE)).verdict is Verdict.KEEP_GOING
    assert advise(Evidence(measured, 9, Trend(0.0, -0.1, 0.1, 6), LITTLE)).verdict is Verdict.KEEP_GOING


def test_too_little_to_go_by_is_said() -> None:
    assert advise(Evidence()).sentence == "Cannot tell yet: no version has been judged."
    advice = advise(Evidence(metrics(18, 20), versions=2))
    assert advice.verdict is Verdict.CANNOT_TELL
    assert "2 versions judged" in advice.sentence
    assert "1 version judged" in advise(Evidence(metrics(18, 20), versions=1)).sentence


def test_a_project_is_as_finished_as_its_least_finished_control() -> None:
    done, going = advise(Evidence(metrics(290, 300)), target=0.9), advise(Evidence(metrics(90, 100), 9, RISING, MUCH))
    both = combine({"colour": done, "shape": going})
    assert both.verdict is Verdict.KEEP_GOING
    assert both.sentence.startswith("'shape': Not yet")
    assert combine({"colour": done}) == done
    assert combine({}) == StoppingAdvice(Verdict.CANNOT_TELL, "Cannot tell yet: nothing has been learnt.")
