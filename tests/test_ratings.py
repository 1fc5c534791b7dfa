"""Ratings: what is learnt of ordered classes, said, measured and kept."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning import LEARNERS, ClassificationLearner
from labelloop.learning.ordinal import cuts, distribution
from labelloop.learning.rating_figures import measure_ratings
from labelloop.learning.ratings import RatingLearner, spread
from labelloop.records import ClassTarget, Kind
from support.made_answers import STARS, lesson, rated

ROWS, TARGETS = rated(120)
MORE_ROWS, MORE_TARGETS = rated(600, seed=1)


@pytest.fixture(scope="module")
def learner() -> RatingLearner:
    return RatingLearner.train(lesson(ROWS, TARGETS, STARS))


def test_ratings_are_learnt_by_this_learner() -> None:
    assert LEARNERS[Kind.RATING] is RatingLearner


def test_it_learns_and_cross_validation_says_how_well(learner: RatingLearner) -> None:
    held_out = learner.evaluate(MORE_ROWS, MORE_TARGETS)
    assert (held_out.name, held_out.source, held_out.items) == ("quadratic kappa", "holdout", 600)
    assert held_out.value > 0.8
    assert held_out.interval is not None and held_out.interval.low < held_out.value < held_out.interval.high
    assert learner.cv_metrics is not None and learner.cv_metrics.source == "cross-validation"
    assert learner.cv_metrics.value == pytest.approx(held_out.value, abs=0.1)


def test_the_order_helps_where_labels_are_few() -> None:
    few = lesson(ROWS[:40], TARGETS[:40], STARS)
    ordered, unordered = RatingLearner.train(few), ClassificationLearner.train(few)
    place = {star: n for n, star in enumerate(STARS)}
    truth = np.array([place[target.label] for target in MORE_TARGETS])
    said = np.array([place[one.label] for one in unordered.predict(MORE_ROWS)])
    assert ordered.evaluate(MORE_ROWS, MORE_TARGETS).value > measure_ratings(said, truth, STARS).value + 0.03


def test_probabilities_are_of_every_rating_and_mean_what_they_say(learner: RatingLearner) -> None:
    probabilities = learner.probabilities(MORE_ROWS)
    assert probabilities.shape == (600, 5)
    assert (probabilities >= 0).all() and probabilities.sum(axis=1) == pytest.approx(np.ones(600))
    shares = [np.mean([target.label == star for target in MORE_TARGETS]) for star in STARS]
    assert probabilities.mean(axis=0) == pytest.approx(shares, abs=0.06)
    said = learner.predict(MORE_ROWS)
    assert all(one.confidence == one.probabilities[one.label] for one in said)
    assert learner.predict(MORE_ROWS[:0]) == []


def test_doubt_is_where_the_mistakes_are(learner: RatingLearner) -> None:
    doubt = np.array([one.uncertainty for one in learner.predict(MORE_ROWS)])
    quality = learner.quality(MORE_ROWS, MORE_TARGETS)
    assert ((doubt > 0) & (doubt < 1)).all()
    assert quality[doubt < np.quantile(doubt, 0.2)].mean() > quality[doubt > np.quantile(doubt, 0.8)].mean()


def test_doubt_between_neighbours_is_less_than_between_the_ends() -> None:
    neighbours, ends, sure, none = [0, 0.5, 0.5, 0, 0], [0.5, 0, 0, 0, 0.5], [0, 1, 0, 0, 0], [0.2] * 5
    assert spread(np.array([sure, neighbours, none, ends])) == pytest.approx([0, 0.25, np.sqrt(0.5), 1])
    assert spread(np.array([[0.5, 0.5]])) == pytest.approx([1])


def test_quality_is_nearness(learner: RatingLearner) -> None:
    (said,) = learner.predict(MORE_ROWS[:1])
    given = [ClassTarget(star) for star in (*STARS, "9")]
    near = learner.quality(np.repeat(MORE_ROWS[:1], 6, axis=0), given)
    expected = [1 - abs(int(star) - int(said.label)) / 4 for star in STARS]
    assert near.tolist() == pytest.approx([*expected, 0])
    assert learner.quality(MORE_ROWS[:0], []).shape == (0,)


def test_a_rating_without_a_label_is_never_predicted() -> None:
    ends = [n for n, target in enumerate(TARGETS) if target.label in "15"]
    model = RatingLearner.train(lesson(ROWS[ends], [TARGETS[n] for n in ends], STARS))
    assert {one.label for one in model.predict(MORE_ROWS)} == {"1", "5"}


@pytest.mark.parametrize("stars", [[], ["3"], ["3"] * 6, ["3", "9"]])
def test_one_rating_is_not_enough(stars: list[str]) -> None:
    with pytest.raises(NotEnoughLabels, match="two different ratings"):
        RatingLearner.train(lesson(ROWS[: len(stars)], [ClassTarget(one) for one in stars], STARS))


def test_two_labels_are_enough_and_nothing_is_said_of_how_good_it_is() -> None:
    model = RatingLearner.train(lesson(ROWS[:2], [ClassTarget("2"), ClassTarget("4")], STARS))
    assert model.cv_metrics is None
    assert all(np.isfinite(one.uncertainty) for one in model.predict(MORE_ROWS))


def test_bad_rows_are_left_out_of_training_and_refused_after() -> None:
    rows = ROWS.copy()
    rows[3] = np.nan
    model = RatingLearner.train(lesson(rows, TARGETS, STARS))
    assert model.evaluate(rows, TARGETS).items == 119
    with pytest.raises(LearningError, match="not finite"):
        model.predict(rows)
    with pytest.raises(LearningError, match="rows of 16"):
        model.predict(ROWS[:, :3])


def test_cuts_and_their_distribution() -> None:
    assert cuts(np.array([0, 2]), 3).tolist() == [[False, False], [True, True]]
    crossing = distribution(np.array([[0.6, 0.8], [0.9, 0.1]]))
    assert crossing == pytest.approx(np.array([[0.4, 0.0, 0.6], [0.1, 0.8, 0.1]]))


def test_kappa_agrees_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 5, 80)
    said = np.clip(truth + generator.integers(-2, 3, 80), 0, 4)
    figures = measure_ratings(said, truth, STARS)
    assert figures.value == pytest.approx(cohen_kappa_score(truth, said, weights="quadratic"))
    assert figures.others["mean absolute error"] == pytest.approx(np.abs(truth - said).mean())
    assert figures.value > figures.others["accuracy"]


def test_worse_than_chance_is_nothing_and_faultless_is_one() -> None:
    truth = np.array([0, 4, 0, 4])
    assert measure_ratings(4 - truth, truth, STARS).value == 0
    one = measure_ratings(np.full(3, 2), np.full(3, 2), STARS)
    assert one.value == 1 and one.interval is not None and one.interval.low < 0.6
    with pytest.raises(NotEnoughLabels, match="no labelled item"):
        measure_ratings(truth[:0], truth[:0], STARS)
