"""Ensembles: several heads, draws of the labels or backbones, and one answer."""

from labelloop.learning.ensembles.head import EnsembleHead, Member
from labelloop.learning.ensembles.recipe import COMBINATIONS, UNTRAINABLE, Ensemble

__all__ = ["COMBINATIONS", "UNTRAINABLE", "Ensemble", "EnsembleHead", "Member"]
