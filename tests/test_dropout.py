"""Monte-Carlo dropout: what a single head gives `bald` to disagree about."""

import numpy as np
import pytest

from labelloop.errors import LearningError
from labelloop.learning import STRATEGIES, ClassificationLearner, Pool
from labelloop.learning.dropout import PASSES, dropout_logits, masks
from labelloop.learning.heads import LinearHead
from labelloop.learning.uncertainty import disagreement
from labelloop.records import ClassTarget
from labelloop.settings import Settings
from support.lessons import digits

NAMES = tuple("0123456789")
GENERATOR = np.random.default_rng(0)
HEAD = LinearHead(GENERATOR.normal(size=(3, 40)), GENERATOR.normal(size=3))
ROWS = GENERATOR.normal(size=(50, 40)).astype(np.float32)


@pytest.fixture(scope="module")
def learner() -> ClassificationLearner:
    features, labels = digits()
    return ClassificationLearner.fit(features[:60], [ClassTarget(str(label)) for label in labels[:60]], NAMES)


@pytest.mark.parametrize("columns", [1, 2, 40])
def test_every_column_is_left_out_as_often_and_keeps_its_mean(columns: int) -> None:
    drawn = masks(columns)

    assert drawn.shape == (PASSES, columns)
    assert ((drawn == 0).sum(axis=0) == PASSES // 2).all()
    assert drawn.mean(axis=0) == pytest.approx(np.ones(columns))


def test_a_pass_leaves_out_other_columns_than_the_next() -> None:
    assert len(np.unique(masks(40), axis=0)) == PASSES


def test_the_mean_of_the_passes_is_the_head_s_own_answer() -> None:
    said = dropout_logits(HEAD, ROWS)

    assert said.shape == (PASSES, 50, 3)
    assert said.mean(axis=0) == pytest.approx(HEAD.logits(ROWS), abs=1e-4)
    assert (said.std(axis=0) > 0.1).all()


def test_the_seed_decides_and_the_rows_beside_do_not() -> None:
    assert (dropout_logits(HEAD, ROWS) == dropout_logits(HEAD, ROWS)).all()
    assert (dropout_logits(HEAD, ROWS, 1) != dropout_logits(HEAD, ROWS, 2)).any()
    assert dropout_logits(HEAD, ROWS[:1]) == pytest.approx(dropout_logits(HEAD, ROWS)[:, :1], abs=1e-5)


def test_a_head_that_goes_by_one_column_disagrees_with_itself_and_by_many_does_not() -> None:
    many = LinearHead(np.array([np.full(40, -0.2), np.full(40, 0.2)]), np.zeros(2))
    narrow, wide = np.zeros((1, 40), np.float32), np.full((1, 40), 1.0, np.float32)
    narrow[0, 0] = 40.0
    said = np.exp(dropout_logits(many, np.concatenate([narrow, wide])))

    one, all_of_them = disagreement(said / said.sum(axis=2, keepdims=True))
    assert one > 0.25
    assert all_of_them < 0.05


def test_a_single_head_has_members_in_the_config_s_order(learner: ClassificationLearner) -> None:
    features, labels = digits()
    other = [ClassTarget(str(5 + 2 * (label % 2))) for label in labels[:60]]
    said = ClassificationLearner.fit(features[:60], other, NAMES).members(features[60:67])

    assert said.shape == (PASSES, 7, 10)
    assert (said[:, :, [0, 1, 2, 3, 4, 6, 8, 9]] == 0).all()
    assert said.sum(axis=2) == pytest.approx(np.ones((PASSES, 7)))
    assert (learner.members(features[60:67]) == learner.members(features[60:67])).all()
    assert (learner.members(features[60:67], 1) != learner.members(features[60:67])).any()
    assert learner.members(features[:0]).shape == (PASSES, 0, 10)


def test_an_ensemble_of_one_is_a_single_head() -> None:
    features, labels = digits()
    targets = [ClassTarget(str(label)) for label in labels[:60]]
    learner = ClassificationLearner.fit(features[:60], targets, NAMES, ensemble=["knn"])

    assert learner.members(features[60:67]).shape == (PASSES, 7, 10)


def test_members_of_what_cannot_be_read_are_refused(learner: ClassificationLearner) -> None:
    with pytest.raises(LearningError, match="not finite"):
        learner.members(np.full((2, 64), np.nan, np.float32))
    with pytest.raises(LearningError, match="rows of 64 features"):
        learner.members(np.zeros((2, 3), np.float32))


def test_what_is_disputed_is_more_often_wrong(learner: ClassificationLearner) -> None:
    features, labels = digits()
    rest, truth = features[60:], labels[60:]
    said = learner.probabilities(rest)
    order = STRATEGIES["bald"].order(Pool(rest, probabilities=said, members=learner.members(rest)), 0)
    wrong = (said.argmax(axis=1) != truth)[order]

    assert wrong[:200].mean() > 3 * wrong[-800:].mean()
    assert wrong[:200].mean() > 0.2


def test_bald_needs_no_ensemble_any_more() -> None:
    assert Settings(strategy="bald").ensemble == []
