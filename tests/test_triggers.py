"""When a training is due, and when a round is."""

import pytest

from labelloop.service.marks import Mark
from labelloop.service.state import BACK_OFF_MOST
from labelloop.service.triggers import decide, round_is_due
from labelloop.settings import Settings

NOW = 1_000_000.0
SETTINGS = Settings(train_after=10, train_quiet=20, train_max_wait=120)


def test_nothing_changed_is_no_reason_to_train() -> None:
    decision = decide(0, 0.0, 0.0, NOW, SETTINGS)
    assert (decision.due, decision.check_at) == (False, None)


@pytest.mark.parametrize("changes", [10, 11, 25, 1000])
def test_the_threshold_reached_or_jumped_over_is_due(changes: int) -> None:
    assert decide(changes, NOW, NOW, NOW, SETTINGS).due


def test_fewer_changes_wait_for_quiet() -> None:
    decision = decide(3, NOW - 5, NOW - 5, NOW, SETTINGS)
    assert not decision.due
    assert decision.check_at == NOW + 15


def test_fewer_changes_are_due_once_it_is_quiet() -> None:
    assert "quiet" in decide(3, NOW - 30, NOW - 20, NOW, SETTINGS).reason


def test_an_annotator_who_never_pauses_is_trained_on_after_the_maximum_wait() -> None:
    decision = decide(9, NOW - 120, NOW - 1, NOW, SETTINGS)
    assert decision.due
    assert "waited 120 s" in decision.reason


def test_the_maximum_wait_bounds_the_next_look() -> None:
    assert decide(3, NOW - 115, NOW, NOW, SETTINGS).check_at == NOW + 5


def test_a_training_asked_for_is_due_without_changes() -> None:
    assert decide(0, 0.0, 0.0, NOW, SETTINGS, force=True).due


def test_a_round_is_due_when_nobody_knows_when_the_last_was() -> None:
    assert round_is_due(Mark(), None, NOW, SETTINGS)


def test_a_round_is_due_at_its_time_without_any_event() -> None:
    assert not round_is_due(Mark(), NOW + 1, NOW, SETTINGS)
    assert round_is_due(Mark(), NOW, NOW, SETTINGS)


@pytest.mark.parametrize(
    ("mark", "due"),
    [
        (Mark(changes=9, first_at=NOW - 3, last_at=NOW), False),
        (Mark(changes=10, first_at=NOW - 3, last_at=NOW), True),
        (Mark(changes=12, first_at=NOW, last_at=NOW), True),
        (Mark(changes=1, first_at=NOW - 20, last_at=NOW - 20), True),
        (Mark(changes=1, first_at=NOW - 120, last_at=NOW), True),
        (Mark(arrivals=3, first_at=NOW, last_at=NOW), False),
        (Mark(arrivals=3, first_at=NOW - 2, last_at=NOW - 2), True),
        (Mark(force=True, first_at=NOW, last_at=NOW), True),
    ],
)
def test_hints_bring_a_round_forward(mark: Mark, due: bool) -> None:
    assert round_is_due(mark, NOW + 50, NOW, SETTINGS) is due


HOUR = 3600


def test_a_clock_that_was_set_back_stops_neither_rounds_nor_trainings() -> None:
    assert round_is_due(Mark(), NOW + HOUR, NOW, SETTINGS)
    assert decide(3, NOW + HOUR, NOW + HOUR, NOW, SETTINGS).due
    assert not round_is_due(Mark(), NOW + BACK_OFF_MOST, NOW, SETTINGS)
    assert not decide(3, NOW + 1, NOW + 1, NOW, SETTINGS).due
