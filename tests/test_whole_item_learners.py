"""What the learners of sets and of ratings have in common."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from labelloop.errors import LearningError
from labelloop.learning import ClassificationLearner, Training
from labelloop.learning.ratings import RatingLearner
from labelloop.learning.sets import SetLearner
from support.made_answers import STARS, TAGS, lesson, rated, tagged

Kind = type[SetLearner] | type[RatingLearner]


@pytest.fixture(params=["sets", "ratings"])
def case(request: pytest.FixtureRequest) -> tuple[Kind, Training]:
    if request.param == "sets":
        return SetLearner, lesson(*tagged(100), TAGS)
    return RatingLearner, lesson(*rated(100), STARS)


def test_what_is_kept_says_the_same_to_the_last_bit(case: tuple[Kind, Training]) -> None:
    kind, training = case
    learner = kind.train(training)
    restored = kind.from_arrays(learner.arrays(), json.loads(json.dumps(learner.meta())))
    assert restored.predict(training.inputs) == learner.predict(training.inputs)
    assert restored.cv_metrics == learner.cv_metrics
    assert all(array.flags["C_CONTIGUOUS"] for array in learner.arrays().values())


def test_the_same_labels_give_the_same_model(case: tuple[Kind, Training]) -> None:
    kind, training = case
    once, again = kind.train(training).arrays(), kind.train(training).arrays()
    assert once.keys() == again.keys()
    assert all((again[name] == array).all() for name, array in once.items())


def test_joined_backbones_weigh_the_same(case: tuple[Kind, Training]) -> None:
    kind, training = case
    loud = 1000 * np.random.default_rng(7).normal(size=(len(training.inputs), 4))
    rows = np.concatenate([training.inputs, loud.astype(np.float32)], axis=1)
    columns = training.inputs.shape[1]
    apart = kind.train(lesson(rows, training.targets, training.classes, blocks=(columns, 4)))
    as_one = kind.train(lesson(rows, training.targets, training.classes))
    assert apart.cv_metrics is not None and as_one.cv_metrics is not None
    assert apart.cv_metrics.value > as_one.cv_metrics.value + 0.1
    restored = kind.from_arrays(apart.arrays(), json.loads(json.dumps(apart.meta())))
    assert restored.predict(rows) == apart.predict(rows)
    with pytest.raises(LearningError, match="Backbones of 3 columns"):
        kind.train(lesson(rows, training.targets, training.classes, blocks=(1, 2)))


def test_a_number_that_single_precision_does_not_hold_is_not_finite(case: tuple[Kind, Training]) -> None:
    kind, training = case
    rows = training.inputs[:2].astype(np.float64)
    rows[1, 0] = 1e300
    with np.errstate(over="ignore"), pytest.raises(LearningError, match="not finite"):
        kind.train(training).predict(rows)


def test_eight_labels_train_a_model(case: tuple[Kind, Training]) -> None:
    kind, training = case
    few = lesson(training.inputs[:8], training.targets[:8], training.classes)
    assert len(kind.train(few).predict(training.inputs)) == 100


@pytest.mark.parametrize(
    ("kind", "training"),
    [
        (SetLearner, lesson(*tagged(100), TAGS)),
        (RatingLearner, lesson(*rated(100), STARS)),
        (ClassificationLearner, lesson(*rated(100), STARS)),
    ],
)
def test_near_duplicates_stay_together_where_an_item_cannot_be_learnt_from(kind: Any, training: Training) -> None:
    groups = np.random.default_rng(0).integers(30, size=100)
    rows = training.inputs.copy()
    rows[:5] = np.nan
    spoiled = kind.train(replace(training, inputs=rows, groups=groups))
    whole = kind.train(replace(training, inputs=rows[5:], targets=training.targets[5:], groups=groups[5:]))

    assert spoiled.cv_metrics == whole.cv_metrics
    assert spoiled.predict(training.inputs) == whole.predict(training.inputs)
