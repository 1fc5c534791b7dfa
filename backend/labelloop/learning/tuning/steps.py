"""The steps of a fine-tuning of whole items: what its model learns from one batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.tuning.criteria import Criterion
from labelloop.learning.tuning.gradient_steps import GradientSteps, half_precision
from labelloop.learning.tuning.judged import Judged, at_temperatures
from labelloop.learning.tuning.media import VIEWS, Medium, View
from labelloop.learning.tuning.methods import method_of
from labelloop.learning.tuning.model import Model, parameter_groups
from labelloop.learning.tuning.options import TuneOptions
from labelloop.learning.tuning.schedule import ramp_share, unlabelled_rows
from labelloop.learning.tuning.shelves import Shelf
from labelloop.learning.tuning.standing import Tensors


@dataclass(frozen=True, slots=True)
class Labelled:
    """Labelled items with targets float32 [n, C], 1 for the classes of an item, and weights float [n]."""

    shelf: Shelf
    targets: Floats
    weights: Floats


class Steps(GradientSteps):
    """A backbone with a head, its method, and what they learn from.

    Args:
        medium: shows the items.
        model: with its head started.
        train: the labelled items.
        unlabelled: for methods that learn from it.
        options: how.
        criterion: what is right.
    """

    def __init__(
        self,
        medium: Medium,
        model: Model,
        train: Labelled,
        unlabelled: Shelf,
        options: TuneOptions,
        criterion: Criterion,
    ) -> None:
        groups = parameter_groups(model.network, model.head, options)
        super().__init__(model, groups, len(train.targets), options, half_precision(medium.device))
        self._medium = medium
        self._train = train
        self._unlabelled = unlabelled
        self._method = method_of(options, model)
        self._criterion = criterion

    @property
    def judged(self) -> Model:
        """The model whose answers count."""
        return self._method.judged(self._model)

    def step(self, number: int, steps: int) -> None:
        """Do step `number` of `steps`; where the device has too little memory, in smaller parts.

        Raises:
            LearningError: it has too little for one item.
        """
        super().step(number, steps)
        self._method.after_step(self._model, number)

    def judge(self, items: Labelled, rows: Sequence[int]) -> Judged:
        """What is found in some rows, calibrated."""
        with torch.no_grad(), self._precision():
            logits, read = self._answers(self.judged, items.shelf, rows, "plain")
        targets, weights = self._of(items, read)
        losses = at_temperatures(logits, lambda said: (self._criterion.losses(said, targets) * weights).sum())
        return Judged(losses, float((self._criterion.right(logits, targets) * weights).sum()), float(weights.sum()))

    def total(self, rows: Ints) -> float:
        """The weight of the items."""
        return float(self._train.weights[rows].sum())

    def loss(self, rows: list[int]) -> Any:
        """The weighted loss of some items, summed; None where none of them can be read."""
        logits, read = self._answers(self._model, self._train.shelf, rows, VIEWS[self._options.augmentation])
        if not read:
            return None
        targets, weights = self._of(self._train, read)
        return (self._criterion.losses(logits, targets) * weights).sum()

    def state(self) -> tuple[dict[str, Tensors], dict[str, Any]]:
        """What a checkpoint must hold of it: tensors by part, and JSON values."""
        parts, scaler = super().state()
        return parts | {"method": self._method.state()}, scaler

    def restore(self, parts: Mapping[str, Tensors], scaler: Mapping[str, Any]) -> None:
        """Go on from there."""
        super().restore(parts, scaler)
        self._method.restore(parts.get("method", {}))

    def _teach(self, rows: Ints, number: int, steps: int) -> None:
        super()._teach(rows, number, steps)
        if self._method.views and len(self._unlabelled):
            ramp = ramp_share(number, round(self._options.ramp_up * steps))
            self._teach_unlabelled(max(1, round(self._options.unlabelled_ratio * len(rows))), number, ramp)

    def _teach_unlabelled(self, wanted: int, number: int, ramp: float) -> None:
        chosen = unlabelled_rows(len(self._unlabelled), wanted, self._options.seed, number)
        for part in self._parts(chosen):
            opened = [item for item in self._unlabelled.take(part) if item is not None]
            if not opened:
                continue
            first, second = (self._medium.batch(opened, view) for view in self._method.views)
            with self._precision():
                loss = self._method.loss(self._model, first, second)
            self._backward(loss * (self._options.unlabelled_weight * ramp * len(part) / len(chosen)))

    def _answers(self, model: Model, shelf: Shelf, rows: Sequence[int], view: View) -> tuple[torch.Tensor, list[int]]:
        """Logits of the rows that can be read, and which those are."""
        read = [(row, item) for row, item in zip(rows, shelf.take(rows), strict=True) if item is not None]
        if not read:
            return torch.zeros(0, model.head.out_features, device=self._medium.device), []
        return model(self._medium.batch([item for _, item in read], view)), [row for row, _ in read]

    def _of(self, items: Labelled, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        device, chosen = self._medium.device, np.asarray(rows, dtype=np.int64)
        weights = torch.as_tensor(items.weights[chosen], dtype=torch.float32, device=device)
        return torch.as_tensor(items.targets[chosen], dtype=torch.float32, device=device), weights
