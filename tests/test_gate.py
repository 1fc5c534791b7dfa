"""When a candidate may go live."""

import tracemalloc

import numpy as np
import pytest
from scipy.stats import binomtest

from labelloop.errors import LearningError
from labelloop.learning import gate, judge, judge_quality
from labelloop.learning.gate import _one_sided, _one_sided_signs, _one_sided_weighted


def _correct(right: int, items: int) -> np.ndarray:
    return np.arange(items) < right


def test_first_version_goes_live() -> None:
    decision = judge(_correct(3, 10), None, minimum=5, tolerance=0.0)

    assert decision.accepted
    assert "3 of 10" in decision.reason


def test_better_candidate_goes_live() -> None:
    assert judge(_correct(90, 100), _correct(80, 100), minimum=20, tolerance=0.02).accepted


def test_worse_candidate_is_refused_with_the_figures() -> None:
    decision = judge(_correct(70, 100), _correct(80, 100), minimum=20, tolerance=0.02)

    assert not decision.accepted
    assert "70 of 100" in decision.reason
    assert "80 of 100" in decision.reason
    assert "2.0%" in decision.reason


def test_loss_within_the_tolerance_goes_live() -> None:
    assert judge(_correct(98, 100), _correct(100, 100), minimum=20, tolerance=0.02).accepted
    assert not judge(_correct(97, 100), _correct(100, 100), minimum=20, tolerance=0.02).accepted


def test_loss_that_chance_explains_goes_live() -> None:
    live = _correct(20, 40)
    candidate = live.copy()
    candidate[:6] = False
    candidate[20:24] = True
    decision = judge(candidate, live, minimum=20, tolerance=0.02)

    assert decision.accepted
    assert "4 gained, 6 lost" in decision.reason


def test_same_net_loss_on_few_changes_is_refused() -> None:
    live = _correct(20, 40)
    candidate = live.copy()
    candidate[:3] = False

    assert not judge(candidate, live, minimum=20, tolerance=0.02).accepted


def test_too_few_items_refuse_nobody() -> None:
    decision = judge(_correct(0, 19), _correct(19, 19), minimum=20, tolerance=0.0)

    assert decision.accepted
    assert "19" in decision.reason
    assert judge(_correct(0, 0), _correct(0, 0), minimum=0, tolerance=0.0).accepted


@pytest.mark.parametrize(("gains", "losses"), [(0, 3), (2, 9), (5, 5), (0, 0)])
def test_chance_is_the_exact_binomial_tail(gains: int, losses: int) -> None:
    expected = binomtest(gains, gains + losses, 0.5, alternative="less").pvalue if gains + losses else 1.0

    assert _one_sided(gains, losses) == pytest.approx(expected)


def test_a_candidate_that_loses_more_than_a_thousand_items_is_refused() -> None:
    decision = judge(~_correct(1024, 3000), _correct(3000, 3000), minimum=20, tolerance=0.02)

    assert not decision.accepted
    assert "0 gained, 1024 lost, p = 0.00" in decision.reason
    assert _one_sided(1000, 1000) == pytest.approx(binomtest(1000, 2000, 0.5, alternative="less").pvalue)


def test_different_items_cannot_be_compared() -> None:
    with pytest.raises(LearningError, match="5 for the candidate and 6"):
        judge(_correct(1, 5), _correct(1, 6), minimum=1, tolerance=0.0)


HAM_AND_SPAM = ["ham"] * 95 + ["spam"] * 5


def _all_but(*wrong: int) -> np.ndarray:
    correct = np.ones(100, dtype=bool)
    correct[list(wrong)] = False
    return correct


def test_giving_up_a_rare_class_is_refused_though_no_accuracy_is_lost() -> None:
    candidate, live = _all_but(95, 96, 97, 98, 99), _all_but(0, 1, 2, 3, 4)
    decision = judge(candidate, live, minimum=20, tolerance=0.02, labels=HAM_AND_SPAM)

    assert judge(candidate, live, minimum=20, tolerance=0.02).accepted
    assert not decision.accepted
    assert "'spam': 0 of 5 held-out labels right against 5" in decision.reason
    assert "50.0% against 97.4%" in decision.reason


def test_a_rare_class_that_the_live_version_could_not_predict_either_refuses_nobody() -> None:
    both = _all_but(95, 96, 97, 98, 99)

    assert judge(both, both, minimum=20, tolerance=0.02, labels=HAM_AND_SPAM).accepted


def test_few_items_of_a_rare_class_are_put_down_to_chance() -> None:
    decision = judge(_all_but(98, 99), _all_but(0, 1), minimum=20, tolerance=0.02, labels=HAM_AND_SPAM)

    assert decision.accepted


def test_classes_without_a_held_out_label_are_named() -> None:
    classes = ("ham", "spam", "ad", "scam", "fraud", "chain")
    decision = judge(_all_but(), _all_but(), minimum=20, tolerance=0.02, labels=HAM_AND_SPAM, classes=classes)

    assert decision.accepted
    assert decision.reason.endswith("Not judged, for want of held-out labels: 'ad', 'scam', 'fraud' and others.")


def test_on_one_class_the_weighted_test_is_the_exact_one() -> None:
    for gains, losses in [(0, 3), (2, 9), (5, 5)]:
        tosses, balance = np.array([gains + losses]), np.array([gains - losses])
        weighted = _one_sided_weighted(tosses, balance, np.array([0.1]))
        assert weighted == pytest.approx(_one_sided(gains, losses), abs=0.015)


def test_equally_good_models_are_seldom_refused() -> None:
    generator = np.random.default_rng(8)
    labels = [str(number) for number in generator.choice(10, size=100, p=[0.4, 0.2, *[0.05] * 8])]
    refused = 0
    for _ in range(100):
        both = generator.random(100) < 0.8
        candidate, live = (np.where(generator.random(100) < 0.2, ~both, both) for _ in range(2))
        refused += not judge(candidate, live, minimum=20, tolerance=0.02, labels=labels).accepted
    assert refused <= 30


def test_labels_of_other_items_cannot_be_used() -> None:
    with pytest.raises(LearningError, match="2 labels for 5"):
        judge(_correct(1, 5), _correct(1, 5), minimum=1, tolerance=0.0, labels=["a", "b"])


def test_a_candidate_that_does_worse_on_most_items_is_refused() -> None:
    live = np.linspace(0.5, 0.9, 40)
    decision = judge_quality(live - 0.2, live, minimum=20, tolerance=0.02)
    assert not decision.accepted
    assert "50.0%" in decision.reason and "70.0%" in decision.reason


def test_a_loss_of_quality_that_chance_explains_is_let_through() -> None:
    live = np.full(30, 0.7)
    candidate = live.copy()
    candidate[0] = 0.0
    candidate[1] = 0.0
    candidate[2] = 1.0
    assert judge_quality(candidate, live, minimum=20, tolerance=0.001).accepted


def test_quality_on_many_items_is_judged_in_little_memory() -> None:
    generator = np.random.default_rng(0)
    live = generator.random(3000)
    candidate = np.clip(live + generator.normal(-0.03, 0.3, 3000), 0, 1)
    tracemalloc.start()
    try:
        judge_quality(candidate, live, minimum=20, tolerance=0.0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * 2**20


def test_chance_of_a_loss_of_quality_is_the_same_however_many_signs_are_drawn_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    differences = np.random.default_rng(0).normal(-0.1, 1, 61)
    at_once = _one_sided_signs(differences)
    assert 0.01 < at_once < 0.99
    for signs in (1, 1000, 61 * gate.DRAWS - 1):
        monkeypatch.setattr(gate, "SIGNS_AT_ONCE", signs)
        assert _one_sided_signs(differences) == at_once


def test_better_quality_and_few_items_are_let_through() -> None:
    live = np.full(30, 0.5)
    assert judge_quality(live + 0.1, live, minimum=20, tolerance=0.0).accepted
    assert judge_quality(live[:5] - 0.5, live[:5], minimum=20, tolerance=0.0).accepted
    assert judge_quality(live, None, minimum=20, tolerance=0.0).accepted


def test_qualities_of_other_items_are_no_comparison() -> None:
    with pytest.raises(LearningError, match="same items"):
        judge_quality(np.ones(3), np.ones(4), minimum=1, tolerance=0.0)


@pytest.mark.parametrize("live", [None, np.zeros(0)])
def test_a_decision_says_so_where_nothing_is_held_out(live: np.ndarray | None) -> None:
    correct = None if live is None else live > 0
    for decision in (
        judge_quality(np.zeros(0), live, minimum=20, tolerance=0.0),
        judge(np.zeros(0, dtype=bool), correct, minimum=20, tolerance=0.0),
    ):
        assert decision.accepted
        assert "no labels are held out yet" in decision.reason.lower()
