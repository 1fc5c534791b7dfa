"""How unlabelled items teach: each method adds a loss to the labelled one, and says whose answers count in the end."""

import copy
from collections.abc import Mapping
from typing import Any, Final, Protocol

import torch
from torch.nn import functional

from labelloop.learning.tuning.media import View
from labelloop.learning.tuning.model import Model
from labelloop.learning.tuning.options import TuneOptions

# How quickly the thresholds follow what the student is sure of, by step.
MEMORY: Final = 0.95
# No class is trusted below this share of the confidence asked for.
LEAST_SHARE: Final = 0.6


class Method(Protocol):
    """A way to learn from unlabelled items.

    Attributes:
        views: the two ways in which each unlabelled item is shown; empty when none is.
    """

    views: tuple[View, ...]

    def loss(self, student: Model, first: Any, second: Any) -> torch.Tensor:
        """The unlabelled loss of one batch, a mean over its items, with a gradient to the student alone."""
        ...

    def after_step(self, student: Model, step: int) -> None:
        """Follow the student, after its step number `step` (from 0)."""
        ...

    def judged(self, student: Model) -> Model:
        """The model whose answers count."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """What a checkpoint must hold of it."""
        ...

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from there."""
        ...


def method_of(options: TuneOptions, student: Model) -> Method:
    """The method that the options name."""
    if options.method == "mean_teacher":
        return MeanTeacher(student, options.teacher_decay)
    if options.method == "pseudo_label":
        return PseudoLabel(student.head.out_features, options.confidence, student.head.weight.device)
    return Supervised()


class Supervised:
    """Labelled items alone."""

    views: tuple[View, ...] = ()

    def loss(self, student: Model, first: Any, second: Any) -> torch.Tensor:
        """Nothing."""
        nothing: torch.Tensor = student.head.bias.sum() * 0
        return nothing

    def after_step(self, student: Model, step: int) -> None:
        """Nothing to follow."""

    def judged(self, student: Model) -> Model:
        """The student itself."""
        return student

    def state(self) -> dict[str, torch.Tensor]:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Nothing to restore."""


class MeanTeacher(Supervised):
    """The student is to answer one view of an item as a running mean of itself answers another (Tarvainen and Valpola, 2017).

    The teacher follows the student and never gets a gradient; its answers are the ones that count in the end.

    Args:
        student: what the teacher starts as.
        decay: share of itself that the teacher keeps at a step; less in the first steps, so that it leaves its start.
    """

    views: tuple[View, ...] = ("weak", "weak")

    def __init__(self, student: Model, decay: float) -> None:
        self.teacher: Model = copy.deepcopy(student).requires_grad_(False)
        self.teacher.eval()
        self._decay = decay

    def loss(self, student: Model, first: Any, second: Any) -> torch.Tensor:
        """Squared distance of the two answers' probabilities, summed over classes."""
        with torch.no_grad():
            taught = self.teacher(second).softmax(dim=1)
        distance: torch.Tensor = (student(first).softmax(dim=1) - taught).square().sum(dim=1)
        return distance.mean()

    @torch.no_grad()
    def after_step(self, student: Model, step: int) -> None:
        """Move the teacher towards the student."""
        decay = min(self._decay, 1 - 1 / (step + 2))
        for mean, now in zip(self.teacher.parameters(), student.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)

    def judged(self, student: Model) -> Model:
        """The teacher."""
        return self.teacher

    def state(self) -> dict[str, torch.Tensor]:
        """The teacher's numbers."""
        return dict(self.teacher.state_dict())

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put the teacher back."""
        self.teacher.load_state_dict(state)


class PseudoLabel(Supervised):
    """Where the student is sure of a weak view, its answer becomes the label of a strong one (FixMatch: Sohn et al., 2020).

    A class that the student is rarely sure of is believed at a lower probability, so that the classes learnt first do not take
    all pseudo-labels (FlexMatch: Zhang et al., 2021).

    Args:
        classes: how many.
        confidence: probability above which the class learnt best is believed.
        device: where the student runs.
    """

    views: tuple[View, ...] = ("strong", "weak")

    def __init__(self, classes: int, confidence: float, device: Any) -> None:
        self._confidence = confidence
        self._learnt = torch.zeros(classes, device=device)
        self._counted = torch.zeros(classes, device=device)

    def thresholds(self) -> torch.Tensor:
        """Probability above which each class is believed, [C]; all the same until the student is sure of anything."""
        best = self._learnt.max()
        share = self._learnt / best if best > 0 else torch.ones_like(self._learnt)
        return self._confidence * (share / (2 - share)).clamp(min=LEAST_SHARE)

    def loss(self, student: Model, first: Any, second: Any) -> torch.Tensor:
        """Cross-entropy of the believed items, over all items of the batch."""
        with torch.no_grad():
            sure, label = student(second).softmax(dim=1).max(dim=1)
        self._counted += torch.bincount(label[sure >= self._confidence], minlength=len(self._counted))
        believed = (sure >= self.thresholds()[label]).float()
        each: torch.Tensor = functional.cross_entropy(student(first), label, reduction="none") * believed
        return each.mean()

    def after_step(self, student: Model, step: int) -> None:
        """Count what the student was sure of in this step."""
        self._learnt = MEMORY * self._learnt + (1 - MEMORY) * self._counted
        self._counted = torch.zeros_like(self._counted)

    def state(self) -> dict[str, torch.Tensor]:
        """How well each class is learnt."""
        return {"learnt": self._learnt}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put that back."""
        self._learnt = state["learnt"].to(self._learnt.device)
