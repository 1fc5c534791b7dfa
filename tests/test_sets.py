"""Sets of classes: what is learnt, said, measured and kept."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning import LEARNERS
from labelloop.learning.binary import calibrate_one, deal, fit_binaries
from labelloop.learning.figures import Figures
from labelloop.learning.reduction import REDUCTIONS, reduce
from labelloop.learning.set_figures import item_f1, measure_sets
from labelloop.learning.sets import SetLearner
from labelloop.learning.thresholds import choose_thresholds
from labelloop.learning.uncertainty import binary, margin
from labelloop.records import Kind, SetTarget
from support.made_answers import TAGS, lesson, tagged

ROWS, TARGETS = tagged(160)
MORE_ROWS, MORE_TARGETS = tagged(400, seed=1)


@pytest.fixture(scope="module")
def learner() -> SetLearner:
    return SetLearner.train(lesson(ROWS, TARGETS, TAGS))


def test_sets_are_learnt_by_this_learner() -> None:
    assert LEARNERS[Kind.SET] is SetLearner


def test_it_learns_and_cross_validation_says_how_well(learner: SetLearner) -> None:
    held_out = learner.evaluate(MORE_ROWS, MORE_TARGETS)
    assert (held_out.name, held_out.source, held_out.items) == ("micro F1", "holdout", 400)
    assert held_out.value > 0.85
    assert held_out.interval is not None and held_out.interval.low < held_out.value < held_out.interval.high
    assert learner.cv_metrics is not None and learner.cv_metrics.source == "cross-validation"
    assert learner.cv_metrics.value == pytest.approx(held_out.value, abs=0.06)
    assert set(held_out.per_class) == {"red", "round", "heavy"}


def test_probabilities_mean_what_they_say(learner: SetLearner) -> None:
    probabilities = learner.class_probabilities(MORE_ROWS)
    truth = np.array([[tag in target.labels for tag in TAGS] for target in MORE_TARGETS])
    assert np.abs(probabilities.mean(axis=0) - truth.mean(axis=0)).max() < 0.05
    said = learner.predict(MORE_ROWS)
    right = np.mean([one.labels == target.labels for one, target in zip(said, MORE_TARGETS, strict=True)])
    assert np.mean([one.confidence for one in said]) == pytest.approx(right, abs=0.08)


def test_doubt_is_where_the_mistakes_are(learner: SetLearner) -> None:
    doubt = np.array([one.uncertainty for one in learner.predict(MORE_ROWS)])
    quality = learner.quality(MORE_ROWS, MORE_TARGETS)
    assert ((doubt >= 0) & (doubt <= 1)).all() and ((quality >= 0) & (quality <= 1)).all()
    half = np.median(doubt)
    assert quality[doubt < half].mean() > quality[doubt >= half].mean() + 0.05


def test_a_class_that_nothing_tells_of_changes_no_doubt(learner: SetLearner) -> None:
    longer = SetLearner.train(lesson(ROWS, TARGETS, [*TAGS, *(f"other {n}" for n in range(200))]))
    assert [one.uncertainty for one in longer.predict(MORE_ROWS[:9])] == pytest.approx(
        [one.uncertainty for one in learner.predict(MORE_ROWS[:9])]
    )


def test_a_prediction_tells_of_every_class(learner: SetLearner) -> None:
    (said,) = learner.predict(MORE_ROWS[:1])
    assert list(said.probabilities) == list(TAGS)
    assert said.labels == tuple(sorted(said.labels))
    assert 0 < said.probabilities["never"] < 0.01
    assert learner.probabilities(MORE_ROWS[:1]) is None
    assert learner.predict(MORE_ROWS[:0]) == []
    assert learner.quality(MORE_ROWS[:0], []).shape == (0,)


def test_items_without_any_class_teach() -> None:
    targets = [target if "red" in target.labels else SetTarget(()) for target in TARGETS]
    model = SetLearner.train(lesson(ROWS, targets, TAGS))
    empty = [target.labels == () for target in targets]
    said = [one.labels == () for one in model.predict(ROWS)]
    assert np.mean(np.equal(said, empty)) > 0.85


@pytest.mark.parametrize("sets", [[], [()], [("red",)], [("red", "round")] * 5, [()] * 5, [("gone",), ("red",)]])
def test_items_that_do_not_differ_are_not_enough(sets: list[tuple[str, ...]]) -> None:
    with pytest.raises(NotEnoughLabels, match="Label an item that differs"):
        SetLearner.train(lesson(ROWS[: len(sets)], [SetTarget(one) for one in sets], TAGS))


def test_two_items_that_differ_are_enough_and_nothing_is_said_of_how_good_it_is() -> None:
    model = SetLearner.train(lesson(ROWS[:2], [SetTarget(("red",)), SetTarget(())], TAGS))
    assert all(np.isfinite(one.uncertainty) for one in model.predict(MORE_ROWS))


@pytest.mark.parametrize("how", REDUCTIONS)
def test_the_doubt_of_an_item_is_reduced_over_its_classes_as_is_chosen(learner: SetLearner, how: str) -> None:
    chosen = SetLearner.from_arrays(learner.arrays(), {**learner.meta(), "reduction": how})
    open_classes = margin(binary(learner.class_probabilities(MORE_ROWS)[:, :3]))

    assert chosen.meta()["reduction"] == how
    assert [one.uncertainty for one in chosen.predict(MORE_ROWS)] == pytest.approx(reduce(open_classes, how))


def test_a_version_of_before_reductions_were_chosen_goes_by_the_largest_doubt(learner: SetLearner) -> None:
    meta = {name: value for name, value in learner.meta().items() if name != "reduction"}

    assert SetLearner.from_arrays(learner.arrays(), meta).predict(MORE_ROWS) == learner.predict(MORE_ROWS)


def test_a_class_that_all_have_and_one_that_a_single_item_has() -> None:
    targets = [SetTarget(("red", "round") if n == 3 else ("red",)) for n in range(20)]
    model = SetLearner.train(lesson(ROWS[:20], targets, TAGS))
    said = model.predict(ROWS[20:60])
    assert all("red" in one.labels for one in said)
    assert all(0.9 < one.probabilities["red"] < 1 for one in said)


def test_what_cannot_be_learnt_from_is_left_out() -> None:
    rows = ROWS.copy()
    rows[5] = np.nan
    rows[6, 0] = np.inf
    targets = [SetTarget(("gone",)) if n == 7 else target for n, target in enumerate(TARGETS)]
    model = SetLearner.train(lesson(rows, targets, TAGS))
    kept = [n for n in range(len(ROWS)) if n not in (5, 6, 7)]
    same = SetLearner.train(lesson(ROWS[kept], [TARGETS[n] for n in kept], TAGS))
    assert model.predict(MORE_ROWS) == same.predict(MORE_ROWS)
    assert model.evaluate(rows, targets).items == len(kept)


def test_equal_rows_and_weights_do_no_harm() -> None:
    targets = [SetTarget(target.labels, weight=0.5) for target in TARGETS]
    model = SetLearner.train(lesson(np.ones_like(ROWS), targets, TAGS))
    share = np.mean(["red" in target.labels for target in TARGETS])
    assert model.predict(ROWS[:1])[0].probabilities["red"] == pytest.approx(share, abs=0.1)


def test_bad_input_is_said_to_be_so(learner: SetLearner) -> None:
    with pytest.raises(LearningError, match="not finite"):
        learner.predict(np.full((1, 12), np.nan, dtype=np.float32))
    with pytest.raises(LearningError, match="rows of 12"):
        learner.predict(ROWS[:, :3])
    with pytest.raises(LearningError, match="There are 1 targets"):
        SetLearner.train(lesson(ROWS, TARGETS[:1], TAGS))
    with pytest.raises(LearningError, match="uncertainty"):
        SetLearner.train(lesson(ROWS, TARGETS, TAGS, uncertainty="guess"))
    with pytest.raises(LearningError, match="No reduction is called 'median'"):
        SetLearner.train(lesson(ROWS, TARGETS, TAGS, reduction="median"))
    with pytest.raises(NotEnoughLabels, match="no labelled item"):
        learner.evaluate(ROWS[:0], [])


def test_figures_agree_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    truth, said = generator.random((50, 4)) < 0.4, generator.random((50, 4)) < 0.4
    figures = measure_sets(said, truth, list("abcd"))
    assert figures.value == pytest.approx(f1_score(truth, said, average="micro"))
    assert figures.others["macro F1"] == pytest.approx(f1_score(truth, said, average="macro"))
    assert item_f1(said, truth).mean() == pytest.approx(f1_score(truth, said, average="samples", zero_division=1.0))
    assert [figures.per_class[c]["f1"] for c in "abcd"] == pytest.approx(f1_score(truth, said, average=None))
    assert Figures.from_json(json.loads(json.dumps(figures.to_json()))) == figures


def test_rightly_empty_sets_are_faultless_and_an_interval_is_never_empty() -> None:
    nothing = np.zeros((4, 2), dtype=bool)
    figures = measure_sets(nothing, nothing, ["a", "b"])
    assert (figures.value, figures.others["macro F1"], figures.others["subset accuracy"]) == (1, 1, 1)
    assert figures.interval is not None and figures.interval.low < 0.6
    assert item_f1(nothing, nothing).tolist() == [1] * 4


def test_a_threshold_is_moved_only_where_it_pays() -> None:
    generator = np.random.default_rng(0)
    rare = generator.random(400) < 0.2
    shy = np.clip(np.where(rare, 0.35, 0.1) + 0.05 * generator.normal(size=400), 0, 1)  # never above a half
    noise = generator.random(400)
    thresholds, said = choose_thresholds(np.column_stack([shy, noise, shy]), np.column_stack([rare, ~rare, rare]))
    assert 0.15 < thresholds[0] < 0.3 and (said[:, 0] == rare).mean() > 0.97
    few, _ = choose_thresholds(shy[:20, None], rare[:20, None])
    assert few.tolist() == [0.5]


def test_every_fold_has_its_share_of_a_rare_class() -> None:
    answers = np.zeros((100, 2), dtype=bool)
    answers[:5, 0] = True
    answers[:50, 1] = True
    folds, run = deal(answers, 0)
    assert sorted(folds[:5].tolist()) == list(run) == [0, 1, 2, 3, 4]
    assert np.bincount(folds[:50]).tolist() == [10] * 5
    assert len(deal(np.ones((3000, 1), dtype=bool), 0)[1]) == 1


def test_a_class_missing_from_a_folds_training_rows_gets_its_rate() -> None:
    answers = np.zeros((30, 1), dtype=bool)
    answers[0] = True
    folds, run = deal(answers, 0)
    answered = fit_binaries(ROWS[:30], answers, np.ones(30), folds, run)
    assert np.isfinite(answered.probabilities).all()
    assert answered.probabilities[0, 0] < 0.1


def test_scores_of_one_answer_are_not_calibrated() -> None:
    assert calibrate_one(np.array([1.0, 2.0]), np.array([True, True]), np.ones(2)) == (1.0, 0.0)
