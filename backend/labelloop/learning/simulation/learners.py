"""Which learner a simulation trains, in a form that says nothing of how a learner is made."""

from dataclasses import dataclass
from typing import Any

from labelloop.learning.arrays import Floats
from labelloop.learning.recipes import methods_named, recipe_named


@dataclass(frozen=True, slots=True)
class LearnerRecipe:
    """A learner as a person asks for it.

    Attributes:
        uncertainty: the measure that the learner's predictions carry.
        semi_supervised: `auto`, `none` (labels alone) or a semi-supervised method.
        ensemble: names of an ensemble's members; empty: a single head.
    """

    uncertainty: str = "margin"
    semi_supervised: str = "none"
    ensemble: tuple[str, ...] = ()


def fit_arguments(recipe: LearnerRecipe, unlabelled: Floats, seed: int) -> dict[str, Any]:
    """What the learner's `fit` takes for a recipe, besides labelled items and classes.

    Args:
        recipe: the learner.
        unlabelled: [m, d], features of the items that have no label.
        seed: decides the folds.

    Raises:
        LearningError: the learner has no such method.
    """
    methods_named(recipe.semi_supervised)
    for member in recipe.ensemble:
        recipe_named(member)
    return {
        "uncertainty": recipe.uncertainty,
        "seed": seed,
        "unlabelled": unlabelled,
        "semi_supervised": recipe.semi_supervised,
        "ensemble": recipe.ensemble,
    }
