"""Trains an ensemble: every member on its own, then how they are combined, on what no member has seen."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Bools, Floats, Ints
from labelloop.learning.calibration import fit_calibration
from labelloop.learning.ensembles.combining import fit_stacking, fit_weights
from labelloop.learning.ensembles.head import EnsembleHead, Member, combined_logits
from labelloop.learning.heads.base import Head, Lesson, Recipe, Tested
from labelloop.learning.heads.linear import LinearHead

logger = logging.getLogger(__name__)

COMBINATIONS: Final = ("average", "weighted", "vote", "stacking")
# What a recipe may raise on rows it cannot be trained on; scikit-learn's own complaints are ValueErrors.
UNTRAINABLE: Final = (LearningError, ValueError, ArithmeticError)


class Ensemble(Recipe):
    """Several recipes side by side (Dietterich, 2000).

    A recipe that is named again is trained on another draw of the labels' weights, the Bayesian bootstrap (Rubin, 1981).
    With several backbones every recipe is trained on the features of each. A member that cannot be trained is reported
    and left out.

    Args:
        recipes: the members, in order; one may come more than once.
        combination: one of `COMBINATIONS`.
        blocks: how many columns of a row each backbone has; empty: all are of one.

    Raises:
        LearningError: there is no such combination, or no recipe.
    """

    name = "ensemble"

    def __init__(self, recipes: Sequence[Recipe], combination: str = "weighted", blocks: Sequence[int] = ()) -> None:
        if combination not in COMBINATIONS:
            raise LearningError(f"No combination is called {combination!r}; there are {', '.join(COMBINATIONS)}.")
        if not recipes:
            raise LearningError("An ensemble needs members; name at least one.")
        self._recipes = tuple(recipes)
        self._combination = combination
        self._blocks = tuple(blocks)

    def fit(self, lesson: Lesson, seed: int) -> Head:
        """Train every member and how they are combined."""
        return self.fit_tested(lesson, seed).head

    def fit_tested(self, lesson: Lesson, seed: int) -> Tested:
        """Train and test every member, and how they are combined.

        Raises:
            LearningError: no member could be trained.
        """
        members, said, failed = self._train(lesson, seed)
        if not members:
            raise LearningError(f"No member of the ensemble could be trained: {'; '.join(failed.values())}.")
        tested = np.flatnonzero(lesson.tested)
        targets, folds = lesson.targets[tested], lesson.folds[tested]
        weights, stacked = self._combine(said, targets, lesson.classes)
        head = EnsembleHead(members, self._combination, weights, stacked, failed)
        return Tested(head, tested, self._cross_fitted(said, targets, folds, lesson.classes), lesson.strength)

    def _train(self, lesson: Lesson, seed: int) -> tuple[list[Member], Floats, dict[str, str]]:
        """The members, what each said of the tested rows [k, t, C], and why others could not be trained."""
        members, said, failed = [], [], {}
        for block, columns in enumerate(self._columns(lesson.rows.shape[1])):
            times: Counter[str] = Counter()
            for recipe in self._recipes:
                label = f"{recipe.name} on backbone {block + 1}" if len(self._blocks) > 1 else recipe.name
                try:
                    member, probabilities = self._member(recipe, lesson, columns, seed, times[recipe.name])
                except UNTRAINABLE as error:
                    failed[label] = f"{label} could not be trained: {error}"
                    logger.warning("%s is left out of the ensemble: %s", label, error)
                    continue
                times[recipe.name] += 1
                members.append(member)
                said.append(probabilities)
        return members, np.array(said), failed

    def _member(
        self, recipe: Recipe, lesson: Lesson, columns: tuple[int, int], seed: int, draw: int
    ) -> tuple[Member, Floats]:
        scale = float(np.sqrt(max(len(self._blocks), 1)))
        own = _drawn(_narrowed(lesson, columns, scale), seed, draw)
        tested = recipe.fit_tested(own, seed + draw)
        targets, weights = lesson.targets[tested.rows], lesson.weights[tested.rows]
        calibration = fit_calibration(tested.logits, targets, weights)
        return Member(recipe.name, tested.head, calibration, columns, scale), calibration.probabilities(tested.logits)

    def _columns(self, width: int) -> list[tuple[int, int]]:
        ends = np.cumsum(self._blocks or (width,)).tolist()
        return list(zip([0, *ends[:-1]], ends, strict=True))

    def _combine(self, said: Floats, targets: Ints, classes: int) -> tuple[Floats, LinearHead | None]:
        """The members' weights, and the meta-model; rows that lack a class cannot teach one."""
        equal = np.full(len(said), 1 / len(said))
        if self._combination == "weighted" and targets.size:
            return fit_weights(said, targets), None
        if self._combination == "stacking" and np.unique(targets).size == classes:
            return equal, fit_stacking(said, targets)
        return equal, None

    def _cross_fitted(self, said: Floats, targets: Ints, folds: Ints, classes: int) -> Floats:
        """Logits [t, C] of each tested row by a combination that was fitted on the other folds."""
        logits = np.zeros((targets.size, classes))
        for fold in np.unique(folds):
            test: Bools = folds == fold
            weights, stacked = self._combine(said[:, ~test], targets[~test], classes)
            logits[test] = combined_logits(said[:, test], self._combination, weights, stacked)
        return logits


def _narrowed(lesson: Lesson, columns: tuple[int, int], scale: float) -> Lesson:
    """The lesson of one backbone's columns, at length 1."""
    if columns == (0, lesson.rows.shape[1]):
        return lesson
    factor = np.float32(scale)
    own = slice(*columns)
    pool = lesson.pool[:, own] * factor if len(lesson.pool) else lesson.pool
    return replace(lesson, rows=lesson.rows[:, own] * factor, pool=pool)


def _drawn(lesson: Lesson, seed: int, draw: int) -> Lesson:
    """The lesson with another draw of its weights; draw 0 is the lesson itself."""
    if draw == 0:
        return lesson
    generator = np.random.default_rng([seed, draw])
    return replace(lesson, weights=lesson.weights * generator.exponential(size=lesson.weights.size))
