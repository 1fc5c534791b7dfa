"""Trains the supervised head and the candidates beside it, and keeps what does best on items that none has seen."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.blending import BLEND, BLEND_TRACK_RECORD, blend
from labelloop.learning.contest import Entrant, Outcome, Unseen, decide, enter, gains_without, match_up
from labelloop.learning.ensembles import UNTRAINABLE
from labelloop.learning.folds import ALL_FOLDS_UP_TO, FEW_ROWS, MORE_FOLDS, plan_folds
from labelloop.learning.heads import HEADS, Lesson, Recipe
from labelloop.learning.logistic import assign_folds

logger = logging.getLogger(__name__)

# Folds that candidates are tested on, by labels: each is a training on the pool, and a few hundred rows are enough to
# tell a gain that matters.
CANDIDATE_FOLDS: Final = ((FEW_ROWS, MORE_FOLDS), (200, 5), (400, 3), (ALL_FOLDS_UP_TO, 2))
# With more labels a class than this the pool has little to add, and with more in all it takes too long: of 77 bank intents
# it gained 1.0 to 2.5 points of accuracy at 4,000 labels, in 6 to 8 seconds instead of 2.
MOST_PER_CLASS: Final = 100
MOST: Final = 5000
# Rows of the pool that candidates learn from, numbers in them, and those times the classes: what keeps a round short.
POOL_ROWS: Final = 1500
POOL_NUMBERS: Final = 1_000_000
POOL_WORK: Final = 30_000_000
# Fewer rows than this teach nothing.
POOL_LEAST: Final = 20


def train_candidates(lesson: Lesson, recipes: Sequence[Recipe], unseen: Unseen, *, seed: int) -> Outcome:
    """Fit the supervised head and each recipe, blend them, and choose.

    A candidate is judged on the labels that its folds held back, the whole procedure done again without them, together with
    the unseen rows. What it has gained on other data counts beside that, the more the fewer labels there are
    (`choice.expect`), and with that it weighs in the blend of all; where there is none it must win by itself. What is taken
    must not lose on the unseen rows. One that cannot be trained is reported and left out.

    Args:
        lesson: labels and pool.
        recipes: the candidates; those that learn from the pool are skipped when it is empty or labels are many.
        unseen: the holdout, when it is large enough to be trusted.
        seed: decides what is random in training.
    """
    supervised = HEADS["logistic"]
    labels_a_class = len(lesson.rows) / lesson.classes
    recipes = [
        recipe
        for recipe in recipes
        if labels_a_class >= recipe.labels_a_class and (len(lesson.pool) or not recipe.needs_pool)
    ]
    base = _enter(supervised, lesson, seed)
    lesson = replace(lesson, strength=base.tested.strength, run=_candidate_run(lesson))
    entered: list[tuple[Recipe, Entrant]] = [(supervised, base)]
    failed: dict[str, str] = {}
    for recipe in recipes:
        try:
            entered.append((recipe, _enter(recipe, lesson, seed)))
        except UNTRAINABLE as error:
            failed[recipe.name] = str(error)
            logger.warning("%s could not be trained and is left out: %s", recipe.name, error)
    matches = [match_up(entrant, base, lesson, unseen) for _, entrant in entered[1:]]
    between = None
    if len(lesson.pool):
        parts = [(recipe, entrant.tested) for recipe, entrant in entered]
        between = blend(parts, partial(gains_without, base, tuple(matches)), lesson.targets, seed)
    if between is None:
        return decide(base, matches, lesson, failed, seed)
    blended = enter(BLEND, between.tested, lesson, prior=BLEND_TRACK_RECORD.at(labels_a_class), usual=1.0)
    matches.append(match_up(blended, base, lesson, unseen))
    return decide(base, matches, lesson, failed, seed, blended=between.shares)


def worth_trying(labels: int, classes: int, pool: int) -> str:
    """Why no semi-supervised candidate is worth its time, as a clause; empty: they are."""
    if pool < POOL_LEAST:
        return f"{pool} items without a label are too few to learn from"
    if labels > min(MOST, MOST_PER_CLASS * classes):
        return f"with {labels} labels of {classes} classes the pool has little to add"
    return ""


def fold_rows(targets: Ints, seed: int, groups: Ints | None = None) -> tuple[Ints, range]:
    """The folds of a lesson's rows, and those that the supervised head is tested on; see `assign_folds`."""
    folds, run = plan_folds(len(targets))
    return assign_folds(targets, folds, seed, groups), run


def sampled_pool(pool: Floats, classes: int, seed: int) -> Floats:
    """The rows of the pool that candidates learn from: finite ones, a random part of many."""
    rows = np.flatnonzero(np.isfinite(pool).all(axis=1))
    columns = max(pool.shape[1], 1)
    most = min(POOL_ROWS, POOL_NUMBERS // columns, POOL_WORK // (columns * classes))
    if rows.size > most:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
    return pool[rows]


def _enter(recipe: Recipe, lesson: Lesson, seed: int) -> Entrant:
    tested, record = recipe.fit_tested(lesson, seed), recipe.track_record
    prior = record.at(len(lesson.rows) / lesson.classes) if record else None
    return enter(recipe.name, tested, lesson, prior=prior, usual=recipe.usual_temperature)


def _candidate_run(lesson: Lesson) -> range:
    folds = next((folds for labels, folds in CANDIDATE_FOLDS if len(lesson.targets) <= labels), 1)
    return range(min(folds, len(lesson.run)))
