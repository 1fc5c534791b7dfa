"""Ensembles: members, how they are combined, and what becomes of one that fails."""

import numpy as np
import pytest
from safetensors.numpy import load, save
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from labelloop.errors import LearningError
from labelloop.learning.ensembles import COMBINATIONS, Ensemble, EnsembleHead
from labelloop.learning.ensembles.combining import fit_weights, side_by_side, vote, weighted
from labelloop.learning.heads import HEADS, Head, Lesson, Recipe
from labelloop.learning.recipes import ensemble_of
from support.lessons import digits_lesson, lesson_of

combinations = pytest.mark.parametrize("combination", COMBINATIONS)


class _Broken(Recipe):
    name = "broken"

    def fit(self, lesson: Lesson, seed: int) -> Head:
        raise ValueError("it cannot be trained")


def _right(logits: np.ndarray, targets: np.ndarray) -> float:
    return float((logits.argmax(axis=1) == targets).mean())


def _ensemble(head: Head) -> EnsembleHead:
    assert isinstance(head, EnsembleHead)
    return head


@combinations
def test_digits_are_learnt_and_stored(combination: str) -> None:
    lesson, rows, targets = digits_lesson(150, classes=5)
    tested = ensemble_of(["logistic", "svm", "knn"], combination).fit_tested(lesson, 0)
    restored = EnsembleHead.from_arrays(load(save(tested.head.arrays())), tested.head.meta())

    assert _right(tested.head.logits(rows), targets) > 0.93
    assert _right(tested.logits, lesson.targets[tested.rows]) > 0.9
    assert (restored.logits(rows) == tested.head.logits(rows)).all()
    assert restored.meta() == tested.head.meta()


@combinations
def test_a_tested_row_was_not_learnt_from(combination: str) -> None:
    generator = np.random.default_rng(0)
    lesson = lesson_of(generator.normal(size=(200, 5)).astype(np.float32), generator.integers(0, 2, 200))
    tested = ensemble_of(["logistic", "knn"], combination).fit_tested(lesson, 0)

    assert _right(tested.logits, lesson.targets[tested.rows]) < 0.62


def test_members_disagree_and_each_says_its_own() -> None:
    lesson, rows, _ = digits_lesson(60, classes=5)
    head = _ensemble(ensemble_of(["logistic", "logistic", "knn"], "average").fit_tested(lesson, 0).head)
    said = head.member_probabilities(rows)

    assert said.shape == (3, len(rows), 5)
    assert said.sum(axis=2) == pytest.approx(np.ones((3, len(rows))))
    assert np.abs(said[0] - said[1]).max() > 0.01  # the second is trained on another draw of the labels


def test_a_member_that_fails_is_reported_and_left_out() -> None:
    lesson, rows, targets = digits_lesson(60, classes=3)
    head = _ensemble(Ensemble([HEADS["logistic"], _Broken()]).fit_tested(lesson, 0).head)

    assert [member.name for member in head.members] == ["logistic"]
    assert head.meta()["failed"] == {"broken": "broken could not be trained: it cannot be trained"}
    assert _right(head.logits(rows), targets) > 0.9


def test_an_ensemble_of_none_is_refused() -> None:
    lesson, _, _ = digits_lesson(60, classes=3)
    with pytest.raises(LearningError, match="No member of the ensemble could be trained: broken"):
        Ensemble([_Broken()]).fit(lesson, 0)
    with pytest.raises(LearningError, match="name at least one"):
        Ensemble([])
    with pytest.raises(LearningError, match=r"'bagging'; there are average, weighted, vote, stacking"):
        Ensemble([HEADS["knn"]], "bagging")


def test_each_backbone_has_its_own_members() -> None:
    lesson, rows, targets = digits_lesson(150, classes=5)
    whole = Ensemble([HEADS["logistic"], HEADS["knn"]], "average", blocks=(40, 24))
    head = _ensemble(whole.fit_tested(lesson, 0).head)

    assert [member.columns for member in head.members] == [(0, 40), (0, 40), (40, 64), (40, 64)]
    assert _right(head.logits(rows), targets) > 0.9
    assert _right(EnsembleHead.from_arrays(head.arrays(), head.meta()).logits(rows), targets) > 0.9


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_voting_is_what_scikit_learn_calls_so(voting: str) -> None:
    lesson, rows, _ = digits_lesson(100, classes=4)
    models = [("a", LogisticRegression(C=10)), ("b", KNeighborsClassifier(3)), ("c", LogisticRegression(C=0.1))]
    theirs = VotingClassifier(models, voting=voting).fit(lesson.rows, lesson.targets)
    said = np.stack([model.predict_proba(rows) for model in theirs.estimators_])
    ours = weighted(said, np.full(3, 1 / 3)) if voting == "soft" else vote(said)
    answers = said.argmax(axis=2)
    tied = (answers[0] != answers[1]) & (answers[1] != answers[2]) & (answers[0] != answers[2])

    assert (ours.argmax(axis=1) == theirs.predict(rows))[~tied | (voting == "soft")].all()
    if voting == "soft":
        assert ours == pytest.approx(theirs.predict_proba(rows))


def test_ties_of_votes_go_to_the_mean() -> None:
    said = np.array([[[0.6, 0.4, 0.0]], [[0.1, 0.9, 0.0]]])

    assert vote(said).argmax(axis=1).tolist() == [1]
    assert vote(said).sum() == pytest.approx(1)


def test_the_better_member_weighs_more() -> None:
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 2, 200)
    good = np.where(targets[:, None] == [0, 1], 0.9, 0.1)
    weights = fit_weights(np.stack([good, np.full((200, 2), 0.5)]), targets)

    assert weights.sum() == pytest.approx(1)
    assert weights[0] > 0.9
    assert fit_weights(np.stack([good, good]), targets) == pytest.approx([0.5, 0.5])


def test_stacking_learns_which_member_knows_which_class() -> None:
    """Each member knows one class of three and guesses between the others; only a meta-model can use that."""
    lesson, rows, targets = digits_lesson(200, classes=3)
    head = _ensemble(ensemble_of(["logistic", "knn"], "stacking").fit_tested(lesson, 0).head)

    assert "stacked.weights" in head.arrays()
    assert head.arrays()["stacked.weights"].shape == (3, 6)
    assert _right(head.logits(rows), targets) > 0.95


def test_side_by_side_keeps_members_apart() -> None:
    said = np.arange(12.0).reshape(2, 3, 2)

    assert side_by_side(said).tolist() == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]
