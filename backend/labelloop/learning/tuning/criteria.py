"""What is right of whole items, of one class each or of any number of them."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional

from labelloop.learning.arrays import Floats
from labelloop.learning.tuning.schedule import class_weights
from labelloop.records import SetTarget, Target


class Criterion(Protocol):
    """How logits float [n, C] are judged by targets float [n, C], 1 for the classes of an item."""

    def losses(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The log loss (natural) of each item, [n]."""
        ...

    def right(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """How far each answer is right, [n] in [0, 1]."""
        ...

    def balanced(self, targets: Floats, balance: float) -> Floats:
        """Weights [n] that weight rare classes up, from 0 (not at all) to 1 (each class counts the same)."""
        ...


class OneClass:
    """Each item is of one class: softmax."""

    def losses(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The cross-entropy of each item."""
        return functional.cross_entropy(logits, targets.argmax(dim=1), reduction="none")

    def right(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """1 where the most probable class is the item's."""
        return (logits.argmax(dim=1) == targets.argmax(dim=1)).float()

    def balanced(self, targets: Floats, balance: float) -> Floats:
        """The weight of each item's class."""
        weights: Floats = targets @ class_weights(targets.sum(axis=0).astype(np.float64), balance)
        return weights


class SeveralClasses:
    """Each item is of any number of classes: a logistic decision for each.

    The rare ones are not weighted up: an item of a rare class is one of common classes as well.
    """

    def losses(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The binary cross-entropies of each item, summed over the classes."""
        return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=1)

    def right(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The share of the decisions that are right."""
        return ((logits > 0) == (targets > 0.5)).float().mean(dim=1)

    def balanced(self, targets: Floats, balance: float) -> Floats:
        """1 for each item."""
        return np.ones(len(targets))


def criterion_of(targets: Sequence[Target]) -> Criterion:
    """The criterion that suits the targets."""
    return SeveralClasses() if any(isinstance(target, SetTarget) for target in targets) else OneClass()
