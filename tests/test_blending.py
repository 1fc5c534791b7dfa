"""The mean of the plain head and those that learn from the pool, the better ones weighing more."""

import json

import numpy as np
import pytest
from safetensors.numpy import load, save

from labelloop.learning import heads
from labelloop.learning.blending import BLEND, BlendHead, blend, shares
from labelloop.learning.candidates import train_candidates
from labelloop.learning.contest import Unseen
from labelloop.learning.heads import HEADS, LinearHead, Recipe
from labelloop.learning.recipes import AUTO, ensemble_of, methods_named
from labelloop.learning.semisupervised import METHODS
from support.lessons import crossed_blobs, digits_lesson, lesson_of

NOTHING = Unseen(np.zeros((0, 64), dtype=np.float32), np.zeros(0, dtype=np.int64))
RECIPES: list[Recipe] = [HEADS["logistic"], METHODS["pseudo_label"], METHODS["label_spreading"]]
ALL: list[Recipe] = [*RECIPES, METHODS["spread_neighbours"]]


def _tested(scale: float, rows: list[int]) -> heads.Tested:
    head = LinearHead(np.full((2, 3), scale), np.full(2, scale))
    return heads.Tested(head, np.array(rows), np.array([[scale, row] for row in rows], dtype=float), strength=7.0)


def _alike(left_out: np.ndarray) -> dict[str, float]:
    """All heads are expected to do equally well."""
    return dict.fromkeys((recipe.name for recipe in ALL), 0.0)


TARGETS = np.zeros(6, dtype=np.int64)


def test_a_blend_of_equals_is_the_mean_at_the_usual_temperatures() -> None:
    parts = [(recipe, _tested(recipe.usual_temperature, [0, 1])) for recipe in RECIPES]
    found = blend(parts, _alike, TARGETS, seed=0)

    assert found is not None
    assert found.tested.head.arrays()["0.weights"] == pytest.approx(np.ones((2, 3)))
    assert found.tested.head.arrays()["0.bias"] == pytest.approx(np.ones(2))
    assert found.tested.logits[:, 0] == pytest.approx(np.ones(2))
    assert found.tested.strength == 7.0


def test_the_more_a_head_is_expected_to_gain_the_more_it_weighs() -> None:
    found = shares({"plain": 0.0, "better": 0.05, "worse": -0.05, "bad": -0.06})

    assert sum(found.values()) == pytest.approx(1)
    assert found["better"] / found["plain"] == pytest.approx(np.e)
    assert found["plain"] / found["worse"] == pytest.approx(np.e)
    assert found["bad"] == 0


def test_what_is_told_of_a_row_does_not_hang_on_its_own_answer() -> None:
    def gains(left_out: np.ndarray) -> dict[str, float]:
        return _alike(left_out) | {"logistic": 1.0 if left_out.size == 0 else -1.0}

    parts = [(recipe, _tested(number, [0, 1])) for number, recipe in enumerate(RECIPES)]
    found = blend(parts, gains, TARGETS, seed=0)

    assert found is not None
    assert found.tested.head.arrays()["0.weights"] == pytest.approx(np.zeros((2, 3)), abs=1e-6)
    others = np.mean([number / recipe.usual_temperature for number, recipe in enumerate(RECIPES) if number])
    assert found.tested.logits[:, 0] == pytest.approx(np.full(2, others), abs=1e-6)


def test_it_is_judged_on_the_rows_that_all_were_tested_on() -> None:
    parts = list(zip(RECIPES, [_tested(1, [0, 2, 3, 5]), _tested(1, [2, 5]), _tested(1, [2, 5])], strict=True))
    found = blend(parts, _alike, TARGETS, seed=0)

    assert found is not None
    assert found.tested.rows.tolist() == [2, 5]
    assert found.tested.logits[1, 1] == pytest.approx(5 * np.mean([1 / recipe.usual_temperature for recipe in RECIPES]))


def test_two_heads_are_not_blended_and_ensembles_are_left_out() -> None:
    lesson, _, _ = digits_lesson(60, classes=3)
    several = ensemble_of(["knn", "svm"], "average")
    parts = [(several, several.fit_tested(lesson, 0)), *((r, _tested(1, [0])) for r in RECIPES[:2])]

    assert blend(parts, _alike, TARGETS, seed=0) is None
    assert blend([], _alike, TARGETS, seed=0) is None
    assert blend([*parts, (RECIPES[2], _tested(1, [0]))], _alike, TARGETS, seed=0) is not None


def test_a_blend_is_the_sum_of_its_parts_and_survives_the_store() -> None:
    lesson, rows, _ = digits_lesson(60, pool=200, classes=4)
    parts = [(recipe, recipe.fit_tested(lesson, 0)) for recipe in ALL]
    found = blend(parts, _alike, lesson.targets, seed=0)

    assert found is not None
    said = np.mean([tested.head.logits(rows) / recipe.usual_temperature for recipe, tested in parts], axis=0)
    assert found.tested.head.logits(rows) == pytest.approx(said, abs=1e-4)
    assert len(found.tested.head.meta()["parts"]) == 2
    restored = BlendHead.from_arrays(
        load(save(found.tested.head.arrays())), json.loads(json.dumps(found.tested.head.meta()))
    )
    assert (restored.logits(rows) == found.tested.head.logits(rows)).all()


def test_it_is_tried_where_both_methods_are_and_there_is_a_pool() -> None:
    lesson, _, _ = digits_lesson(60, pool=200, classes=4)
    alone, _, _ = digits_lesson(60, classes=4)

    def tried(recipes: tuple[Recipe, ...], of: object = lesson) -> list[str]:
        return [c.name for c in train_candidates(of, recipes, NOTHING, seed=0).choice.comparisons]

    assert tried(methods_named("auto")) == [*AUTO, BLEND]
    assert tried(methods_named("pseudo_label")) == ["pseudo_label"]
    assert tried(methods_named("auto"), alone) == []


def test_the_holdout_may_refuse_it_too() -> None:
    lesson, rows, _ = digits_lesson(40, pool=400)
    plain, parts = HEADS["logistic"].fit_tested(lesson, 0), [(r, r.fit_tested(lesson, 0)) for r in ALL]
    between = blend(parts, _alike, lesson.targets, seed=0)
    assert between is not None
    said, by_plain = between.tested.head.logits(rows).argmax(axis=1), plain.head.logits(rows).argmax(axis=1)
    apart = np.flatnonzero(said != by_plain)

    assert train_candidates(lesson, methods_named("auto"), NOTHING, seed=0).choice.method != "logistic"
    refusing = Unseen(rows[apart], by_plain[apart])
    assert train_candidates(lesson, methods_named("auto"), refusing, seed=0).choice.method == "logistic"


def test_parts_that_lose_are_refused() -> None:
    features, targets = crossed_blobs(1000)
    lesson = lesson_of(features[:120], targets[:120], features[120:600])
    rest = lesson_of(features[:120], targets[:120], features[600:]).pool
    trained = train_candidates(lesson, methods_named("auto"), NOTHING, seed=0)

    assert trained.choice.reason.endswith(", without label_spreading, spread_neighbours.")
    assert (trained.head.logits(rest).argmax(axis=1) == targets[600:]).mean() > 0.98
