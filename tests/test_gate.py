"""When a candidate may go live."""

import numpy as np
import pytest
from scipy.stats import binomtest

from labelloop.errors import LearningError
from labelloop.learning import judge
from labelloop.learning.gate import _one_sided


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


def test_different_items_cannot_be_compared() -> None:
    with pytest.raises(LearningError, match="5 for the candidate and 6"):
        judge(_correct(1, 5), _correct(1, 6), minimum=1, tolerance=0.0)
