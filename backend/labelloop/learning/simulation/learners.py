"""Which learner a simulation trains, in a form that says nothing of how a learner is made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labelloop.learning.arrays import Floats
from labelloop.records import ClassTarget


@dataclass(frozen=True, slots=True)
class LearnerRecipe:
    """A learner as a person asks for it.

    Attributes:
        uncertainty: the measure that the learner's predictions carry.
        semi_supervised: `auto`, `none` (labels alone) or a semi-supervised method.
        ensemble: names of an ensemble's members; empty: a single head.
        combination: how their answers become one.
        blocks: how many columns of a row are of each backbone, where several are joined; empty: it is one.
    """

    uncertainty: str = "margin"
    semi_supervised: str = "none"
    ensemble: tuple[str, ...] = ()
    combination: str = "weighted"
    blocks: tuple[int, ...] = ()


def fit_arguments(
    recipe: LearnerRecipe, unlabelled: Floats, holdout: tuple[Floats, Sequence[ClassTarget]] | None, seed: int
) -> dict[str, Any]:
    """What the learner's `fit` takes for a recipe, besides labelled items and classes.

    Args:
        recipe: the learner.
        unlabelled: [m, d], features of the items that have no label.
        holdout: features and targets that have a say in the choice of head; None: too few to be trusted.
        seed: decides the folds.
    """
    return {
        "uncertainty": recipe.uncertainty,
        "seed": seed,
        "unlabelled": unlabelled,
        "semi_supervised": recipe.semi_supervised,
        "holdout": holdout,
        "ensemble": recipe.ensemble,
        "combination": recipe.combination,
        "blocks": recipe.blocks,
    }
