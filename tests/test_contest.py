"""The contest of trained heads, and what is told of its winner."""

import numpy as np
import pytest

from labelloop.learning.blending import BLEND, BlendHead
from labelloop.learning.choice import Prior
from labelloop.learning.contest import Entrant, Outcome, Unseen, decide, enter, match_up
from labelloop.learning.heads import Head, Lesson, LinearHead, base

ROWS = 60
NOTHING = Unseen(np.zeros((0, 2), dtype=np.float32), np.zeros(0, dtype=np.int64))
TARGETS = np.arange(ROWS) % 2
LESSON = Lesson(np.zeros((ROWS, 2), dtype=np.float32), TARGETS, np.ones(ROWS), np.arange(ROWS) % 5, strength=1.0)


def test_the_luckiest_of_many_guesses_is_told_of_as_a_guess():
    supervised, *candidates = (_entrant(f"guess {number}", _guesses(number)) for number in range(30))
    outcome = _decided(supervised, *candidates)
    assert _accuracy(outcome.winner.tested.logits) > 0.6
    assert _accuracy(outcome.logits) < 0.56


def test_a_winner_that_is_best_without_any_part_is_told_of_by_its_own_figures():
    good = _entrant("good", _right(0.9))
    outcome = _decided(_entrant("supervised", _right(0.5)), good, _entrant("fair", _right(0.6)))
    assert outcome.winner is good
    assert outcome.logits == pytest.approx(good.tested.logits)
    assert outcome.calibration is good.calibration


def test_what_another_says_of_a_part_is_brought_to_the_scale_of_the_winner():
    two, ten = _entrant("two", 2 * _right(0.7), usual=2.0), _entrant("ten", 10 * _right(0.7, first=1), usual=10.0)
    outcome = _decided(_entrant("supervised", _right(0.5)), two, ten)
    assert {outcome.winner.name} <= {"two", "ten"}
    assert not np.array_equal(outcome.logits, outcome.winner.tested.logits)
    assert np.abs(outcome.logits) == pytest.approx(np.full((ROWS, 2), outcome.winner.usual))


def test_the_supervised_head_is_told_of_by_all_rows_it_was_tested_on():
    few = np.arange(0, ROWS, 3)
    candidate = _entrant("candidate", _right(0.6)[few], rows=few, prior=Prior(-0.2, 0.05))
    outcome = _decided(_entrant("supervised", _right(0.8)), candidate)
    assert outcome.winner.name == "supervised"
    assert len(outcome.logits) == ROWS


def test_a_candidate_that_loses_on_the_holdout_does_not_win():
    rows, targets = np.eye(2, dtype=np.float32)[TARGETS], TARGETS
    right, wrong = (LinearHead(sign * np.eye(2, dtype=np.float32), np.zeros(2, dtype=np.float32)) for sign in (5, -5))
    supervised = _entrant("supervised", _right(0.5), head=right)
    candidate = _entrant("candidate", _right(0.9), head=wrong)
    assert _decided(supervised, candidate).winner is candidate
    assert _decided(supervised, candidate, unseen=Unseen(rows, targets)).winner is supervised


@pytest.mark.parametrize(("right", "taken"), [(0.875, True), (0.75, True), (0.5, False)])
def test_a_blend_is_taken_before_its_parts_unless_it_loses_clearly(right: float, taken: bool):
    heads = [_entrant(f"part {number}", _right(0.9375, first=number), prior=Prior(0.05, 0.05)) for number in range(2)]
    mean = BlendHead([(1.0, _plain())])
    blended = _entrant(BLEND, _right(right), prior=Prior(0.0, 0.05), head=mean)
    shares = {"supervised": 0.3, "part 0": 0.3, "part 1": 0.4}
    outcome = _decided(_entrant("supervised", _right(0.75)), *heads, blended, blended=shares)
    assert outcome.winner.name == (BLEND if taken else "supervised")
    assert ("; of part " in outcome.choice.reason) == taken


def test_the_same_seed_gives_the_same_outcome():
    entrants = [_entrant(f"guess {number}", _guesses(number)) for number in range(10)]
    first, again = (_decided(*entrants) for _ in range(2))
    assert first.choice == again.choice
    assert np.array_equal(first.logits, again.logits)


def _decided(
    supervised: Entrant, *candidates: Entrant, unseen: Unseen = NOTHING, blended: dict[str, float] | None = None
) -> Outcome:
    matches = [match_up(candidate, supervised, LESSON, unseen) for candidate in candidates]
    return decide(supervised, matches, LESSON, {}, 0, blended=blended)


def _entrant(
    name: str,
    logits: np.ndarray,
    *,
    usual: float = 1.0,
    rows: np.ndarray | None = None,
    prior: Prior | None = None,
    head: Head | None = None,
) -> Entrant:
    tested = base.Tested(head or _plain(), np.arange(ROWS) if rows is None else rows, logits)
    return enter(name, tested, LESSON, prior=prior, usual=usual)


def _plain() -> LinearHead:
    return LinearHead(np.zeros((2, 2), dtype=np.float32), np.zeros(2, dtype=np.float32))


def _guesses(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(ROWS, 2))


def _right(share: float, first: int = 0) -> np.ndarray:
    """Logits of 1 and -1 that are right for so many rows, spread evenly."""
    wrong = (np.arange(ROWS) + first) * (1 - share) % 1 < 1 - share - 1e-9
    return np.where((np.arange(2) == TARGETS[:, None]) ^ wrong[:, None], 1.0, -1.0)


def _accuracy(logits: np.ndarray) -> float:
    return float((logits.argmax(axis=1) == TARGETS).mean())
