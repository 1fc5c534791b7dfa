"""A step of a fine-tuning: rates, gradients in parts that fit the device, and what a checkpoint must hold."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from math import ceil
from typing import Any, Final

import torch

from labelloop.errors import LearningError
from labelloop.learning.arrays import Ints
from labelloop.learning.backbones.torch_running import out_of_memory, release_memory
from labelloop.learning.tuning.judged import Judged
from labelloop.learning.tuning.options import TuneOptions
from labelloop.learning.tuning.schedule import epoch_rows, rate_share, step_seed
from labelloop.learning.tuning.standing import Tensors, optimiser_tensors, restore_optimiser

logger = logging.getLogger(__name__)

# Longest gradient; one batch of odd items must not undo what the others have taught.
LONGEST: Final = 1.0


class GradientSteps(ABC):
    """A network and its optimiser; what is learnt, and how it is judged, is each kind's own.

    Args:
        model: the torch module that learns, on its device.
        groups: the optimiser's parameter groups, with the highest learning rate of each as `rate`.
        count: labelled items.
        options: how.
        half: half precision for a GPU; None: full precision.
    """

    def __init__(
        self, model: Any, groups: list[dict[str, Any]], count: int, options: TuneOptions, half: torch.dtype | None
    ) -> None:
        self.per_epoch = max(1, ceil(count / options.batch))
        self._model = model
        self._count = count
        self._options = options
        self._at_once = options.at_once
        self._optimiser = torch.optim.AdamW([group for group in groups if group["params"]], lr=0.0)
        self._half = half
        self._device = next(model.parameters()).device
        self._scaler = torch.amp.GradScaler("cuda", enabled=half is torch.float16)

    @property
    def judged(self) -> Any:
        """The model whose answers count."""
        return self._model

    @abstractmethod
    def judge(self, items: Any, rows: Sequence[int]) -> Judged:
        """What is found in some rows of the validation items."""

    @abstractmethod
    def total(self, rows: Ints) -> float:
        """What the loss of a batch is divided by: the weight of all that it holds."""

    @abstractmethod
    def loss(self, rows: list[int]) -> Any:
        """The loss of some labelled items, summed over all that they hold; None where none of them can be read."""

    def step(self, number: int, steps: int) -> None:
        """Do step `number` of `steps`; where the device has too little memory, in smaller parts.

        Raises:
            LearningError: it has too little for one item.
        """
        epoch, place = divmod(number, self.per_epoch)
        order = epoch_rows(self._count, self._options.seed, epoch)
        rows = order[place * self._options.batch : (place + 1) * self._options.batch]
        warm_up = round(self._options.warm_up_epochs * self.per_epoch)
        for group in self._optimiser.param_groups:
            group["lr"] = group["rate"] * rate_share(number, steps, warm_up)
        while not self._accumulated(rows, number, steps):
            release_memory()
        if all(parameter.grad is None for parameter in self._model.parameters()):
            return  # nothing of the batch could be read, and a scaler takes no step without gradients
        self._scaler.unscale_(self._optimiser)
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), LONGEST)
        self._scaler.step(self._optimiser)
        self._scaler.update()

    def state(self) -> tuple[dict[str, Tensors], dict[str, Any]]:
        """What a checkpoint must hold of it: tensors by part, and JSON values."""
        parts = {"model": dict(self._model.state_dict()), "optimiser": optimiser_tensors(self._optimiser)}
        return parts, dict(self._scaler.state_dict())

    def restore(self, parts: Mapping[str, Tensors], scaler: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._model.load_state_dict(parts["model"])
        restore_optimiser(self._optimiser, parts.get("optimiser", {}))
        if scaler:  # one that has gone without so far, on another device, has none to give
            self._scaler.load_state_dict(dict(scaler))

    def _teach(self, rows: Ints, number: int, steps: int) -> None:
        """Accumulate the gradients of one batch, a part at a time."""
        total = max(self.total(rows), 1e-12)
        for part in self._parts(rows):
            with self._precision():
                loss = self.loss(part)
            if loss is not None:
                self._backward(loss / total)

    def _accumulated(self, rows: Ints, number: int, steps: int) -> bool:
        """Accumulate the gradients of one step; False when they did not fit and smaller parts are to be tried."""
        torch.manual_seed(step_seed(self._options.seed, number))
        self._optimiser.zero_grad(set_to_none=True)
        self._model.train()
        try:
            self._teach(rows, number, steps)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if self._at_once == 1:
                raise LearningError(
                    "The device has too little memory to fine-tune on one item; use a smaller network."
                ) from error
            self._at_once //= 2
            logger.info("Out of memory; going on with %d items at once", self._at_once)
            return False
        return True

    def _backward(self, loss: Any) -> None:
        self._scaler.scale(loss).backward()

    def _parts(self, rows: Ints) -> list[list[int]]:
        numbers = [int(row) for row in rows]
        return [numbers[start : start + self._at_once] for start in range(0, len(numbers), self._at_once)]

    def _precision(self) -> AbstractContextManager[Any]:
        half = self._half
        # Older torch keeps the weights that a pass without gradients has cast, and the next then teaches none (pytorch issue 112583).
        return torch.autocast(
            self._device.type, dtype=half or torch.bfloat16, enabled=half is not None, cache_enabled=False
        )


def half_precision(device: Any, *, float16: bool = True) -> torch.dtype | None:
    """The half precision of a GPU, bfloat16 where it has it in silicon; None on any other device.

    Args:
        device: a torch device.
        float16: the network's numbers fit into float16, which older GPUs have instead.
    """
    if device.type != "cuda":
        return None
    if torch.cuda.get_device_capability(device)[0] >= 8:
        return torch.bfloat16
    return torch.float16 if float16 else None


def plain_groups(model: Any, rate: float, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups at one rate; biases and normalisations do not decay."""
    named = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [one for one in named if one.ndim > 1], "rate": rate, "weight_decay": weight_decay},
        {"params": [one for one in named if one.ndim <= 1], "rate": rate, "weight_decay": 0.0},
    ]
