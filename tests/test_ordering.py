"""The queue's scores: uncertain first where a model is trusted, representative first where none is, unreadable last."""

from dataclasses import replace

import numpy as np
import pytest

from labelloop.errors import LearningError
from labelloop.labelstudio import parse_label_config
from labelloop.learning import BackboneSpec, ClassMetrics, Metrics, Pool, ResolvedBackbone, strategy_for
from labelloop.records import ClassPrediction, Control, Modality, SetTarget
from labelloop.service.embedding import Embedded
from labelloop.service.ordering import (
    LAST,
    Known,
    counting,
    known_skill,
    score_of,
    score_queue,
    still_asked_for,
    varieties,
    worth_showing,
)
from labelloop.service.versions import LearnerRecord
from labelloop.settings import Settings
from support.conditional import DAMAGES

CONTROL = Control("class", "Choices", "text", "text", Modality.TEXT, ("a", "b"))


def said(uncertainty: float, confidence: float = 0.5, control: str = "class") -> dict[str, ClassPrediction]:
    return {control: ClassPrediction("a", confidence, uncertainty)}


def embedded(count: int, seed: int = 0) -> Embedded:
    features = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    return Embedded(list(range(count)), features, [""] * count)


def scored(
    order: str,
    queue: list[int],
    predictions: dict[int, dict[str, ClassPrediction]],
    pool: Embedded,
    known: Known | None = None,
    **settings: object,
) -> dict[int, float]:
    probabilities = None
    if predictions:
        doubts = np.array([predictions[i]["class"].uncertainty for i in pool.ids])
        probabilities = np.stack([1 - doubts / 2, doubts / 2], axis=1)
    known = known or Known(np.zeros((0, 3), np.float32), np.zeros(0, np.int64), 2, None, 20)
    return score_queue(order, Settings(**settings), queue, predictions, pool, probabilities, known)  # type: ignore[arg-type]


def test_the_most_uncertain_task_has_the_lowest_score() -> None:
    predictions = {0: said(0.1), 1: said(0.9), 2: said(0.5)}
    scores = scored("margin", [0, 1, 2], predictions, embedded(3))
    assert sorted(scores, key=scores.__getitem__) == [1, 2, 0]
    assert scores[1] == pytest.approx(0.1)


def test_a_task_is_as_uncertain_as_its_most_uncertain_control() -> None:
    assert score_of({**said(0.2), **said(0.7, control="other")}, Settings()) == pytest.approx(0.3)


def test_a_task_may_be_as_uncertain_as_its_controls_are_on_the_mean() -> None:
    both = {**said(0.2), **said(0.7, control="other")}
    assert score_of(both, Settings(task_uncertainty="mean")) == pytest.approx(0.55)
    weighed = Settings(task_uncertainty="mean", control_weights={"other": 0.0})
    assert score_of(both, weighed) == pytest.approx(0.8)
    assert score_of(both, Settings(task_uncertainty="mean", control_weights={"other": 0.0, "class": 0.0})) == 1.0


def test_a_control_that_weighs_less_decides_less() -> None:
    both = {**said(0.2), **said(0.7, control="other")}
    assert score_of(both, Settings(control_weights={"other": 0.1})) == pytest.approx(0.8)


def test_a_rare_class_may_have_a_share_of_the_places() -> None:
    predictions = {i: said(0.2 if i else 0.9) for i in range(20)}
    probabilities = np.tile([0.9, 0.1], (20, 1))
    probabilities[0] = 0.6, 0.4
    probabilities[19] = 0.1, 0.9
    known = Known(embedded(6, seed=1).features, np.zeros(6, np.int64), 2, None, 20)

    def first(balance: float) -> int:
        settings = Settings(balance=balance)
        scores = score_queue("margin", settings, list(range(20)), predictions, embedded(20), probabilities, known)
        return min(scores, key=scores.__getitem__)

    assert first(0.0) == 0
    assert first(1.0) == 19


def test_near_copies_may_be_sent_to_the_back() -> None:
    pool = embedded(20)
    pool.features[1] = pool.features[0] * 1.0001
    predictions = {i: said(1 - i / 40) for i in range(20)}
    scores = scored("margin", list(range(20)), predictions, pool)
    apart = scored("margin", list(range(20)), predictions, pool, apart=0.1)
    assert sorted(scores, key=scores.__getitem__)[1] == 1
    assert max(apart, key=apart.__getitem__) == 1


def test_bald_serves_first_where_the_members_disagree() -> None:
    members = np.full((2, 20, 2), 0.5)
    members[0, 7], members[1, 7] = (0.99, 0.01), (0.01, 0.99)
    predictions = {i: said(1.0) for i in range(20)}
    known = Known(np.zeros((0, 3), np.float32), np.zeros(0, np.int64), 2, None, 20)
    settings = Settings(strategy="bald")
    scores = score_queue(
        "bald", settings, list(range(20)), predictions, embedded(20), members.mean(axis=0), known, members=members
    )
    assert min(scores, key=scores.__getitem__) == 7


@pytest.mark.parametrize(("damage", "chosen", "score"), [("no", "", 0.8), ("yes", "", 0.1), ("no", "yes", 0.1)])
def test_a_control_that_the_others_keep_hidden_does_not_count(damage: str, chosen: str, score: float) -> None:
    controls = parse_label_config(DAMAGES.config).controls
    predictions = {"damage": ClassPrediction(damage, 0.4, 0.2), "severity": ClassPrediction("low", 0.5, 0.9)}
    drawn = [{"from_name": "damage", "to_name": "t", "type": "choices", "value": {"choices": [chosen]}}]
    counted = counting(controls, predictions, {"text": "x"}, drawn if chosen else [])
    assert score_of(counted, Settings()) == pytest.approx(score)


@pytest.mark.parametrize(
    "asked", ["", '<Choices name="tone" toName="t"><Choice value="x"/><Choice value="y"/></Choices>']
)
def test_a_control_that_waits_for_one_of_which_nothing_is_known_counts(asked: str) -> None:
    controls = parse_label_config(DAMAGES.config.replace("</View>", f"{asked}</View>")).controls
    predictions = {"severity": ClassPrediction("low", 0.5, 0.9), "tone": ClassPrediction("x", 0.8, 0.3)}
    said = predictions if asked else {"severity": predictions["severity"]}
    assert counting(controls, said, {"text": "x"}) == said
    chosen = {"from_name": "damage", "to_name": "t", "type": "choices", "value": {"choices": ["no"]}}
    left = {"tone"} if asked else {"severity"}  # where all would be hidden, all count
    assert set(counting(controls, said, {"text": "x"}, [chosen])) == left


@pytest.mark.parametrize("uncertainty", [-0.1, 0.0, 1.0, 1.0000001])
def test_a_score_stays_within_its_range(uncertainty: float) -> None:
    assert 0.0 <= score_of(said(uncertainty), Settings()) <= 1.0


@pytest.mark.parametrize("order", ["margin", "coverage"])
def test_what_has_no_features_comes_last(order: str) -> None:
    predictions = {task_id: said(0.5) for task_id in range(3)}
    scores = scored(order, [0, 1, 2, 77], predictions, embedded(3))
    assert scores[77] == LAST
    assert max(scores.values()) == LAST


@pytest.mark.parametrize("order", ["auto", "margin", "random"])
def test_what_only_other_controls_can_read_goes_among_the_rest_by_their_doubt(order: str) -> None:
    predictions = {task_id: said(task_id / 10) for task_id in range(8)}
    predictions[77], predictions[78] = said(0.95, control="other"), said(0.35, control="other")
    scores = scored(order, [*range(8), 77, 78], predictions, embedded(8))
    assert (scores[77], scores[78]) == pytest.approx((0.05, 0.65))
    assert min(scores, key=scores.__getitem__) == 77


def test_what_only_other_controls_can_read_has_a_score_where_nothing_else_is_in_the_queue() -> None:
    assert scored("margin", [77], {77: said(0.9, control="other")}, embedded(0)) == {77: pytest.approx(0.1)}


@pytest.mark.parametrize("order", ["coverage", "typiclust", "random"])
def test_a_rank_gives_every_task_a_score_of_its_own(order: str) -> None:
    scores = scored(order, list(range(20)), {}, embedded(20))
    assert len(set(scores.values())) == 20
    assert all(0 <= score <= 1 for score in scores.values())


def test_the_first_of_a_covering_order_is_far_from_what_is_labelled() -> None:
    near, far = np.zeros((30, 2), np.float32), np.full((30, 2), 10, np.float32)
    noise = np.random.default_rng(0).normal(scale=0.1, size=(60, 2)).astype(np.float32)
    pool = Embedded(list(range(60)), np.concatenate([near, far]) + noise, [""] * 60)
    known = Known(np.zeros((4, 2), np.float32), np.zeros(4, np.int64), 2, None, 20)
    scores = scored("coverage", list(range(60)), {}, pool, known)
    assert min(scores, key=scores.__getitem__) >= 30


def test_an_empty_queue_has_no_scores() -> None:
    assert scored("margin", [], {}, embedded(0)) == {}


@pytest.mark.parametrize("order", ["auto", "diverse_margin", "margin", "badge", "random"])
def test_scores_are_the_doubts_handed_out_along_the_order(order: str) -> None:
    pool = embedded(50)
    predictions = {task_id: said(round(task_id % 7 / 10, 1)) for task_id in range(50)}
    known = Known(pool.features[:20] + 1, np.arange(20) % 2, 2, 0.9, 5)
    scores = scored(order, list(range(50)), predictions, pool, known)

    handed_out = sorted(scores.values())
    assert handed_out == pytest.approx(sorted(1 - task_id % 7 / 10 for task_id in range(50)), abs=1e-6)
    assert len(set(handed_out)) == 50
    assert all(0 <= score <= 1 for score in handed_out)


def test_an_order_by_uncertainty_gives_each_task_its_own_score() -> None:
    predictions = {task_id: said(task_id / 10) for task_id in range(8)}
    scores = scored("margin", list(range(8)), predictions, embedded(8))
    assert [scores[i] for i in range(8)] == pytest.approx([1 - i / 10 for i in range(8)], abs=1e-6)


def test_a_task_that_arrives_alone_goes_neither_first_nor_last_while_nothing_is_learnt() -> None:
    assert scored("coverage", [0], {}, embedded(1)) == {0: 0.5}


@pytest.mark.parametrize("order", ["auto", "margin", "badge"])
def test_without_a_model_the_cold_strategy_orders(order: str) -> None:
    queue = list(range(30))
    assert scored(order, queue, {}, embedded(30)) == scored("coverage", queue, {}, embedded(30))
    typical = scored(order, queue, {}, embedded(30), cold_strategy="typiclust")
    assert typical == scored("typiclust", queue, {}, embedded(30))


def test_auto_covers_until_there_are_labels_enough_for_a_model_of_its_skill() -> None:
    pool, predictions = embedded(60), {task_id: said(task_id / 60) for task_id in range(60)}

    def front(skill: float | None, labels_per_class: int = 4) -> set[int]:
        known = Known(embedded(8, seed=1).features, np.arange(8) % 2, 2, skill, 1)
        scores = scored("auto", list(range(60)), predictions, pool, known, cold_labels_per_class=labels_per_class)
        return {task_id for task_id, score in scores.items() if score < 0.2}

    assert front(None) == front(0.8) != front(0.0)
    assert front(0.0) == front(0.8, labels_per_class=5)


def test_auto_covers_all_along_where_answers_are_those_of_the_nearest_label() -> None:
    pool, predictions = embedded(60), {task_id: said(task_id / 60) for task_id in range(60)}
    known = Known(embedded(30, seed=1).features, None, 1, 0.9, 1)

    def along(order: str, known: Known) -> list[int]:
        scores = scored(order, list(range(60)), predictions, pool, known)
        return sorted(scores, key=scores.__getitem__)

    covering = along("coverage", known)
    assert along("auto", replace(known, remembered=True)) == covering != along("auto", known)
    assert along("margin", replace(known, remembered=True)) != covering


def test_skill_is_that_of_the_holdout_once_it_is_large_enough() -> None:
    def metrics(accuracy: float, items: int) -> Metrics:
        halves = {label: ClassMetrics(accuracy, accuracy, accuracy, items // 2) for label in "ab"}
        return Metrics(items, accuracy, accuracy, 1.0, 0.0, halves, "holdout")

    spec, settings = BackboneSpec(Modality.TEXT, "plain"), Settings(holdout_min=20)
    record = LearnerRecord(CONTROL, ("a", "b"), "classification", spec, ResolvedBackbone("plain", "plain", 3))
    assert known_skill(record, settings) is None
    tested = replace(record, cv_metrics=metrics(0.9, 100), metrics=metrics(0.6, 10))
    assert known_skill(tested, settings) == pytest.approx(0.74, abs=0.01)
    assert known_skill(replace(tested, metrics=metrics(0.5, 20)), settings) == 0


def test_an_unknown_order_says_what_there_is() -> None:
    with pytest.raises(LearningError, match="'guess'; there are auto, badge"):
        strategy_for(Pool(np.zeros((1, 1))), "guess", "coverage", 4)


def test_a_prediction_under_the_threshold_is_not_shown() -> None:
    predictions = said(0.5, confidence=0.6)
    assert worth_showing([CONTROL], predictions, 0.6, {}) == [(CONTROL, predictions["class"])]
    assert worth_showing([CONTROL], predictions, 0.61, {}) == []
    assert worth_showing([CONTROL], {}, 0.0, {}) == []


@pytest.mark.parametrize(
    ("probabilities", "shown"),
    [({"a": 0.9, "b": 0.06, "c": 0.04}, []), ({"a": 0.5, "b": 0.48, "c": 0.02}, ["b"]), ({"a": 1.0}, [])],
)
def test_the_threshold_is_for_what_the_task_offers(probabilities: dict[str, float], shown: list[str]) -> None:
    more = 'value="$options" model_score_threshold="0.8"'
    xml = f'<View><Text name="text" value="$text"/><Choices name="class" toName="text" {more}/></View>'
    control = replace(parse_label_config(xml).controls[0], labels=("a", "b", "c"))
    predictions = {"class": ClassPrediction("a", probabilities["a"], 0.5, probabilities)}
    found = worth_showing([control], predictions, 0.0, {"options": [{"value": "b"}, {"value": "c"}]})
    assert [prediction.summary for _, prediction in found] == shown


def test_items_of_several_classes_show_more_of_them_at_once() -> None:
    assert varieties([SetTarget(("a", "b")), SetTarget(("c", "d")), SetTarget(())]) == 2
    assert varieties([SetTarget(("a",)), SetTarget(("b",))]) == 2
    assert varieties([SetTarget(())]) == varieties([]) == 1


def test_labels_that_come_from_the_tasks_stay_those_that_were_trained() -> None:
    xml = '<View><Text name="text" value="$text"/><Choices name="class" toName="text" value="$options"/></View>'
    (now,) = parse_label_config(xml).controls
    trained = replace(now, labels=("cat", "emu"))
    spec, plain = BackboneSpec(Modality.TEXT, "plain"), ResolvedBackbone("plain", "plain", 3)
    record = LearnerRecord(trained, trained.labels, "classification", spec, plain)
    assert still_asked_for([record], xml) == {"class": trained}
