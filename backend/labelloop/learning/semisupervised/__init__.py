"""Semi-supervised learning on cached features: recipes that learn from rows without a label too. A new one is a line here."""

from typing import Final

from labelloop.learning.heads.base import Recipe
from labelloop.learning.semisupervised.label_spreading import LabelSpreading, SpreadNeighbours
from labelloop.learning.semisupervised.mean_teacher import MeanTeacher
from labelloop.learning.semisupervised.pseudo_label import PseudoLabel

METHODS: Final[dict[str, Recipe]] = {
    recipe.name: recipe for recipe in (PseudoLabel(), LabelSpreading(), SpreadNeighbours(), MeanTeacher())
}

__all__ = ["METHODS"]
