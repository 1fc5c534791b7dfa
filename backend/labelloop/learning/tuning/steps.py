"""The steps of a fine-tuning: what its model learns from one batch."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

import numpy as np
import torch
from torch.nn import functional

from labelloop.errors import LearningError
from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.backbones.torch_running import out_of_memory, release_memory
from labelloop.learning.tuning.media import Medium, View
from labelloop.learning.tuning.methods import method_of
from labelloop.learning.tuning.model import Model, parameter_groups
from labelloop.learning.tuning.options import TuneOptions
from labelloop.learning.tuning.schedule import epoch_rows, ramp_share, rate_share, step_seed, unlabelled_rows
from labelloop.learning.tuning.shelves import Shelf
from labelloop.learning.tuning.standing import Tensors, optimiser_tensors, restore_optimiser

logger = logging.getLogger(__name__)

# Longest gradient; one batch of odd items must not undo what the others have taught.
LONGEST: Final = 1.0
_VIEWS: Final[dict[str, View]] = {"none": "plain", "weak": "weak", "strong": "strong"}


@dataclass(frozen=True, slots=True)
class Labelled:
    """Labelled items with class numbers int [n] and weights float [n]."""

    shelf: Shelf
    targets: Ints
    weights: Floats


class Steps:
    """A model, its optimiser and its method, and what they learn from.

    Args:
        medium: shows the items.
        model: with its head started.
        train: the labelled items.
        unlabelled: for methods that learn from it.
        options: how.
    """

    def __init__(self, medium: Medium, model: Model, train: Labelled, unlabelled: Shelf, options: TuneOptions) -> None:
        self.per_epoch = max(1, ceil(len(train.targets) / options.batch))
        self._medium = medium
        self._model = model
        self._train = train
        self._unlabelled = unlabelled
        self._options = options
        self._at_once = options.at_once
        self._method = method_of(options, model)
        groups = parameter_groups(
            model,
            head_rate=options.head_rate,
            backbone_rate=options.backbone_rate,
            first_layer_share=options.first_layer_share,
            weight_decay=options.weight_decay,
        )
        self._optimiser = torch.optim.AdamW(groups, lr=0.0)
        self._half = _half_precision(medium.device)
        self._scaler = torch.amp.GradScaler("cuda", enabled=self._half is torch.float16)

    @property
    def judged(self) -> Model:
        """The model whose answers count."""
        return self._method.judged(self._model)

    def step(self, number: int, steps: int) -> None:
        """Do step `number` of `steps`; where the device has too little memory, in smaller parts.

        Raises:
            LearningError: it has too little for one item.
        """
        epoch, place = divmod(number, self.per_epoch)
        order = epoch_rows(len(self._train.targets), self._options.seed, epoch)
        rows = order[place * self._options.batch : (place + 1) * self._options.batch]
        warm_up = round(self._options.warm_up_epochs * self.per_epoch)
        for group in self._optimiser.param_groups:
            group["lr"] = group["rate"] * rate_share(number, steps, warm_up)
        ramp = ramp_share(number, round(self._options.ramp_up * steps))
        while not self._accumulated(rows, number, ramp):
            release_memory()
        self._scaler.unscale_(self._optimiser)
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), LONGEST)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._method.after_step(self._model, number)

    def judge(self, items: Labelled, rows: Sequence[int]) -> tuple[float, float, float]:
        """Sums over some rows of what counts: the loss, the weight of what is right, and all weight."""
        with torch.no_grad(), self._precision():
            logits, read = self._answers(self.judged, items.shelf, rows, "plain")
        targets, weights = self._of(items, read)
        loss = (functional.cross_entropy(logits, targets, reduction="none") * weights).sum()
        right = ((logits.argmax(dim=1) == targets) * weights).sum()
        return float(loss), float(right), float(weights.sum())

    def state(self) -> tuple[dict[str, Tensors], dict[str, Any]]:
        """What a checkpoint must hold of it: tensors by part, and JSON values."""
        parts = {
            "model": dict(self._model.state_dict()),
            "method": self._method.state(),
            "optimiser": optimiser_tensors(self._optimiser),
        }
        return parts, dict(self._scaler.state_dict())

    def restore(self, parts: Mapping[str, Tensors], scaler: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._model.load_state_dict(parts["model"])
        self._method.restore(parts.get("method", {}))
        restore_optimiser(self._optimiser, parts.get("optimiser", {}))
        self._scaler.load_state_dict(dict(scaler))

    def _accumulated(self, rows: Ints, number: int, ramp: float) -> bool:
        """Accumulate the gradients of one step; False when they did not fit and smaller parts are to be tried."""
        torch.manual_seed(step_seed(self._options.seed, number))
        self._optimiser.zero_grad(set_to_none=True)
        self._model.train()
        try:
            self._teach(rows)
            if self._method.views and len(self._unlabelled):
                self._teach_unlabelled(max(1, round(self._options.unlabelled_ratio * len(rows))), number, ramp)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if self._at_once == 1:
                raise LearningError(
                    "The device has too little memory to fine-tune on one item; use a smaller backbone."
                ) from error
            self._at_once //= 2
            logger.info("Out of memory; going on with %d items at once", self._at_once)
            return False
        return True

    def _teach(self, rows: Ints) -> None:
        total = max(float(self._train.weights[rows].sum()), 1e-12)
        for part in _parts(rows, self._at_once):
            with self._precision():
                logits, read = self._answers(self._model, self._train.shelf, part, _VIEWS[self._options.augmentation])
            if read:
                targets, weights = self._of(self._train, read)
                each = functional.cross_entropy(logits, targets, reduction="none")
                self._scaler.scale((each * weights).sum() / total).backward()  # type: ignore[no-untyped-call]

    def _teach_unlabelled(self, wanted: int, number: int, ramp: float) -> None:
        chosen = unlabelled_rows(len(self._unlabelled), wanted, self._options.seed, number)
        for part in _parts(chosen, self._at_once):
            opened = [item for item in self._unlabelled.take(part) if item is not None]
            if not opened:
                continue
            first, second = (self._medium.batch(opened, view) for view in self._method.views)
            with self._precision():
                loss = self._method.loss(self._model, first, second)
            weight = self._options.unlabelled_weight * ramp * len(part) / len(chosen)
            self._scaler.scale(loss * weight).backward()  # type: ignore[no-untyped-call]

    def _answers(self, model: Model, shelf: Shelf, rows: Sequence[int], view: View) -> tuple[torch.Tensor, list[int]]:
        """Logits of the rows that can be read, and which those are."""
        read = [(row, item) for row, item in zip(rows, shelf.take(rows), strict=True) if item is not None]
        if not read:
            return torch.zeros(0, model.head.out_features, device=self._medium.device), []
        return model(self._medium.batch([item for _, item in read], view)), [row for row, _ in read]

    def _of(self, items: Labelled, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        device, chosen = self._medium.device, np.asarray(rows, dtype=np.int64)
        weights = torch.as_tensor(items.weights[chosen], dtype=torch.float32, device=device)
        return torch.as_tensor(items.targets[chosen], dtype=torch.int64, device=device), weights

    def _precision(self) -> AbstractContextManager[Any]:
        half = self._half
        return torch.autocast(self._medium.device.type, dtype=half or torch.bfloat16, enabled=half is not None)


def _half_precision(device: Any) -> torch.dtype | None:
    """The half precision of a GPU, bfloat16 where it has it in silicon; None on any other device."""
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.get_device_capability(device)[0] >= 8 else torch.float16


def _parts(rows: Ints, size: int) -> list[list[int]]:
    numbers = [int(row) for row in rows]
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]
