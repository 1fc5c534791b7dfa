"""Every recipe by name: the heads, and the semi-supervised methods."""

from collections.abc import Sequence
from typing import Final

from labelloop.errors import LearningError
from labelloop.learning.ensembles import Ensemble
from labelloop.learning.heads import HEADS, Recipe
from labelloop.learning.semisupervised import METHODS

RECIPES: Final[dict[str, Recipe]] = {**HEADS, **METHODS}
# The methods that `auto` tries, those that measured best: the others cost more and gain less.
AUTO: Final = ("pseudo_label", "label_spreading", "spread_neighbours")
SEMI_SUPERVISED: Final = ("auto", "none", *METHODS)


def recipe_named(name: str) -> Recipe:
    """The head or method of that name.

    Raises:
        LearningError: there is none of that name.
    """
    try:
        return RECIPES[name]
    except KeyError:
        raise LearningError(f"No head is called {name!r}; there are {', '.join(sorted(RECIPES))}.") from None


def methods_named(name: str) -> tuple[Recipe, ...]:
    """The semi-supervised methods to try: a method's name, `auto` or `none`.

    Raises:
        LearningError: there is no such method.
    """
    if name not in SEMI_SUPERVISED:
        raise LearningError(
            f"No semi-supervised method is called {name!r}; there are {', '.join(sorted(SEMI_SUPERVISED))}."
        )
    names = {"auto": AUTO, "none": ()}.get(name, (name,))
    return tuple(METHODS[name] for name in names)


def ensemble_of(names: Sequence[str], combination: str, blocks: Sequence[int] = ()) -> Ensemble:
    """An ensemble of recipes; a name that comes again is trained on another draw of the labels.

    Raises:
        LearningError: there is no such recipe or combination.
    """
    return Ensemble([recipe_named(name) for name in names], combination, blocks)
