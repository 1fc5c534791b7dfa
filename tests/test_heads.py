"""Every head answers the same questions: it learns, is tested on what it has not seen, and is stored as plain arrays."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import LinearSVC

from labelloop.learning.heads import HEADS, STORED, Recipe, restore_head
from labelloop.learning.heads.boosting import DEPTH, RATE
from labelloop.learning.heads.kernel import LANDMARKS, PENALTY, SCALE
from labelloop.learning.heads.linear import MARGINS
from labelloop.learning.scaling import unit_rows
from support.lessons import digits_lesson, lesson_of

heads = pytest.mark.parametrize("recipe", HEADS.values(), ids=list(HEADS))


def _right(logits: np.ndarray, targets: np.ndarray) -> float:
    return float((logits.argmax(axis=1) == targets).mean())


@heads
def test_digits_are_learnt(recipe: Recipe) -> None:
    lesson, rows, targets = digits_lesson(300, classes=5)

    assert _right(recipe.fit(lesson, 0).logits(rows), targets) > 0.93


@heads
def test_two_classes_are_learnt(recipe: Recipe) -> None:
    lesson, rows, targets = digits_lesson(60, classes=2)

    assert _right(recipe.fit(lesson, 0).logits(rows), targets) > 0.97


@heads
def test_tested_rows_are_those_of_the_folds_that_are_run(recipe: Recipe) -> None:
    lesson, _, _ = digits_lesson(80, classes=3)
    tested = recipe.fit_tested(replace(lesson, run=range(2)), 0)

    assert tested.rows.tolist() == np.flatnonzero(lesson.folds < 2).tolist()
    assert tested.logits.shape == (tested.rows.size, 3)
    assert _right(tested.logits, lesson.targets[tested.rows]) > 0.8


@heads
def test_a_tested_row_was_not_learnt_from(recipe: Recipe) -> None:
    """Where rows say nothing of their targets, only a head that has seen them answers better than chance."""
    features = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    lesson = lesson_of(features, np.random.default_rng(1).integers(0, 2, 200))
    tested = recipe.fit_tested(lesson, 0)

    assert _right(tested.logits, lesson.targets[tested.rows]) < 0.62


@heads
def test_stored_head_says_the_same(recipe: Recipe) -> None:
    lesson, rows, _ = digits_lesson(80, classes=3)
    head = recipe.fit_tested(lesson, 0).head
    restored = restore_head(head.kind, load(save(head.arrays())), head.meta())

    assert (restored.logits(rows) == head.logits(rows)).all()


@heads
def test_same_seed_same_head(recipe: Recipe) -> None:
    lesson, rows, _ = digits_lesson(80, classes=3)

    assert (recipe.fit(lesson, 3).logits(rows) == recipe.fit(lesson, 3).logits(rows)).all()


@heads
def test_a_row_that_is_not_finite_gets_no_finite_answer(recipe: Recipe) -> None:
    lesson, rows, _ = digits_lesson(60, classes=3)
    rows[1, 2] = np.nan
    logits = recipe.fit(lesson, 0).logits(rows[:3])

    assert np.isfinite(logits[[0, 2]]).all()
    assert not np.isfinite(logits[1]).all()


@heads
def test_one_row_a_class_is_learnt_without_a_warning(recipe: Recipe) -> None:
    """Warnings are errors here; scikit-learn takes so many classes for a regression."""
    rows = np.random.default_rng(0).normal(size=(30, 16)).astype(np.float32)
    lesson = lesson_of(rows, np.arange(30))

    assert recipe.fit_tested(lesson, 0).head.logits(lesson.rows).shape == (30, 30)


@heads
def test_rows_that_are_all_alike_give_equal_answers(recipe: Recipe) -> None:
    lesson = lesson_of(np.full((20, 4), 2.5, dtype=np.float32), np.arange(20) % 2)
    logits = recipe.fit_tested(lesson, 0).head.logits(lesson.rows)

    assert np.isfinite(logits).all()
    assert (logits == logits[0]).all()


@heads
def test_no_row_gives_no_logits(recipe: Recipe) -> None:
    lesson, rows, _ = digits_lesson(60, classes=3)

    assert recipe.fit(lesson, 0).logits(rows[:0]).shape == (0, 3)


@heads
def test_a_weight_that_is_almost_nothing_silences_a_wrong_label(recipe: Recipe) -> None:
    lesson, rows, targets = digits_lesson(200, classes=2)
    wrong = np.arange(200) < 90
    targets_given = np.where(wrong, 1 - lesson.targets, lesson.targets)
    weights = np.where(wrong, 1e-6, 1.0)
    head = recipe.fit(replace(lesson, targets=targets_given, weights=weights), 0)

    assert _right(head.logits(rows), targets) > 0.8


def test_predicting_imports_no_training_library(tmp_path: Path) -> None:
    lesson, _, _ = digits_lesson(60, classes=3)
    trained = {name: recipe.fit(lesson, 0) for name, recipe in HEADS.items()}
    for name, head in trained.items():
        (tmp_path / name).write_bytes(save(head.arrays()))
    stored = {name: (head.kind, head.meta()) for name, head in trained.items()}
    code = f"""
import sys
import numpy as np
from safetensors.numpy import load_file
from labelloop.learning.heads import restore_head
for name, (kind, meta) in {stored!r}.items():
    head = restore_head(kind, load_file({str(tmp_path)!r} + "/" + name), meta)
    assert head.logits(np.zeros((2, 64), dtype=np.float32)).shape == (2, 3)
assert not {{"sklearn", "scipy", "torch"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


@pytest.mark.parametrize("classes", [2, 4])
def test_trees_say_what_scikit_learn_says(classes: int) -> None:
    lesson, rows, _ = digits_lesson(120, classes=classes)
    head = HEADS["boosting"].fit(lesson, 5)
    model = GradientBoostingClassifier(
        n_estimators=50, learning_rate=RATE, max_depth=DEPTH, max_features="sqrt", subsample=0.8, random_state=5
    ).fit(lesson.rows, lesson.targets)
    logits = head.logits(rows).astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    assert shares == pytest.approx(model.predict_proba(rows), abs=1e-5)


def test_svm_says_what_scikit_learn_says() -> None:
    lesson, rows, _ = digits_lesson(120, classes=4)
    model = LinearSVC(C=MARGINS[1], dual="auto", tol=1e-3).fit(lesson.rows, lesson.targets)

    assert HEADS["svm"].fit(lesson, 0).logits(rows) == pytest.approx(model.decision_function(rows), abs=0.03)


def _quadrants(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose class is whether their first two columns have one sign: no plane parts them."""
    rows = np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
    return rows, (rows[:, 0] * rows[:, 1] > 0).astype(int)


def test_kernel_learns_boundaries_that_no_plane_follows() -> None:
    lesson, (rows, targets) = lesson_of(*_quadrants(200, 0)), _quadrants(500, 1)
    rows = unit_rows(rows, np.zeros(4))

    assert _right(HEADS["logistic"].fit(lesson, 0).logits(rows), targets) < 0.65
    assert _right(HEADS["kernel"].fit(lesson, 0).logits(rows), targets) > 0.8


def test_kernel_says_what_the_regression_it_stands_for_says() -> None:
    lesson, rows, _ = digits_lesson(120, classes=4)
    wanted = np.eye(4)[lesson.targets]
    alike, asked = (rbf_kernel(some, lesson.rows, gamma=0.5) for some in (lesson.rows, rows))
    middle, line = alike.mean(axis=0), np.eye(120) - 1 / 120
    # The optimum of the penalised squares in the dual, the bias taken out by centring.
    weights = np.linalg.solve(line @ alike @ line + PENALTY * np.eye(120), wanted - wanted.mean(axis=0))
    said = SCALE * ((asked - middle) @ (line @ weights) + wanted.mean(axis=0))

    assert HEADS["kernel"].fit(lesson, 0).logits(rows) == pytest.approx(said, abs=0.02)


def test_kernel_takes_rows_that_are_alike_for_what_they_are() -> None:
    """Several contents may have the same features; with a singular kernel matrix an answer must not hang on the rows beside it."""
    rows, targets = _quadrants(60, 0)
    lesson, asked = (
        lesson_of(np.repeat(rows, 3, axis=0), np.repeat(targets, 3)),
        unit_rows(_quadrants(200, 1)[0], np.zeros(4)),
    )
    head = HEADS["kernel"].fit(lesson, 0)
    alone = np.concatenate([head.logits(row[None]) for row in asked])

    assert head.logits(asked) == pytest.approx(alone, abs=1e-3)


def test_kernel_likens_rows_to_a_part_of_many_labelled_ones() -> None:
    lesson, (rows, targets) = lesson_of(*_quadrants(2000, 0)), _quadrants(500, 1)
    head = HEADS["kernel"].fit(lesson, 0)

    assert head.arrays()["landmarks"].shape == (LANDMARKS, 4)
    assert _right(head.logits(unit_rows(rows, np.zeros(4))), targets) > 0.9


def test_every_kind_is_stored_under_its_own_name() -> None:
    assert all(kind == head.kind for kind, head in STORED.items())
