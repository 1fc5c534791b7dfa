"""The queue's scores: uncertain first where a model is trusted, representative first where none is, unreadable last."""

import numpy as np
import pytest

from labelloop.records import ClassPrediction, Control, Modality
from labelloop.service.embedding import Embedded
from labelloop.service.ordering import LAST, score_of, score_queue, worth_showing

CONTROL = Control("class", "Choices", "text", "text", Modality.TEXT, ("a", "b"))


def said(uncertainty: float, confidence: float = 0.5, control: str = "class") -> dict[str, ClassPrediction]:
    return {control: ClassPrediction("a", confidence, uncertainty)}


def embedded(count: int, seed: int = 0) -> Embedded:
    features = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    return Embedded(list(range(count)), features, [""] * count)


def test_the_most_uncertain_task_has_the_lowest_score() -> None:
    predictions = {0: said(0.1), 1: said(0.9), 2: said(0.5)}
    scores = score_queue("margin", [0, 1, 2], predictions, embedded(3), np.zeros((0, 3), np.float32))
    assert sorted(scores, key=scores.__getitem__) == [1, 2, 0]
    assert scores[1] == pytest.approx(0.1)


def test_a_task_is_as_uncertain_as_its_most_uncertain_control() -> None:
    assert score_of({**said(0.2), **said(0.7, control="other")}) == pytest.approx(0.3)


@pytest.mark.parametrize("uncertainty", [-0.1, 0.0, 1.0, 1.0000001])
def test_a_score_stays_within_its_range(uncertainty: float) -> None:
    assert 0.0 <= score_of(said(uncertainty)) <= 1.0


@pytest.mark.parametrize("order", ["margin", "coverage"])
def test_what_has_no_features_comes_last(order: str) -> None:
    predictions = {task_id: said(0.5) for task_id in range(3)}
    scores = score_queue(order, [0, 1, 2, 77], predictions, embedded(3), np.zeros((0, 3), np.float32))
    assert scores[77] == LAST
    assert max(scores.values()) == LAST


@pytest.mark.parametrize("order", ["coverage", "typiclust", "random"])
def test_a_rank_gives_every_task_a_score_of_its_own(order: str) -> None:
    scores = score_queue(order, list(range(20)), {}, embedded(20), np.zeros((0, 3), np.float32))
    assert len(set(scores.values())) == 20
    assert all(0 <= score <= 1 for score in scores.values())


def test_the_first_of_a_covering_order_is_far_from_what_is_labelled() -> None:
    near, far = np.zeros((30, 2), np.float32), np.full((30, 2), 10, np.float32)
    noise = np.random.default_rng(0).normal(scale=0.1, size=(60, 2)).astype(np.float32)
    pool = Embedded(list(range(60)), np.concatenate([near, far]) + noise, [""] * 60)
    labelled = np.zeros((4, 2), np.float32)
    scores = score_queue("coverage", list(range(60)), {}, pool, labelled)
    assert min(scores, key=scores.__getitem__) >= 30


def test_an_empty_queue_has_no_scores() -> None:
    assert score_queue("margin", [], {}, embedded(0), np.zeros((0, 3), np.float32)) == {}


def test_a_cold_model_orders_an_uncertainty_queue_by_nothing_but_presence() -> None:
    scores = score_queue("margin", [0, 1], {}, embedded(2), np.zeros((0, 3), np.float32))
    assert set(scores) == {0, 1}


def test_a_prediction_under_the_threshold_is_not_shown() -> None:
    predictions = said(0.5, confidence=0.6)
    assert worth_showing([CONTROL], predictions, 0.6) == [(CONTROL, predictions["class"])]
    assert worth_showing([CONTROL], predictions, 0.61) == []
    assert worth_showing([CONTROL], {}, 0.0) == []
