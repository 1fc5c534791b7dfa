"""Which learner a simulation trains, in a form that says nothing of how a learner is made."""

from dataclasses import dataclass
from typing import Any

from labelloop.errors import LearningError
from labelloop.learning.arrays import Floats


@dataclass(frozen=True, slots=True)
class LearnerRecipe:
    """A learner as a person asks for it.

    Attributes:
        uncertainty: the measure that the learner's predictions carry.
        semi_supervised: a semi-supervised method; empty: labels alone.
        ensemble: names of an ensemble's members; empty: a single head.
    """

    uncertainty: str = "margin"
    semi_supervised: str = ""
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
    if recipe.semi_supervised:
        raise LearningError(f"The learner has no semi-supervised method {recipe.semi_supervised!r}; leave it out.")
    if recipe.ensemble:
        raise LearningError(f"The learner has no ensemble of {', '.join(recipe.ensemble)}; leave it out.")
    return {"uncertainty": recipe.uncertainty, "seed": seed}
