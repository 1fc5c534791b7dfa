"""The steps of fine-tuning a sequence-to-sequence model: what it learns from one batch of texts and their answers."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

import torch
from torch.nn import functional

from labelloop.errors import LearningError
from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.torch_running import out_of_memory, release_memory
from labelloop.learning.backbones.written_texts import LONGEST, prepared
from labelloop.learning.tuning.options import TuneOptions
from labelloop.learning.tuning.schedule import epoch_rows, rate_share, step_seed
from labelloop.learning.tuning.standing import Tensors, optimiser_tensors, restore_optimiser

logger = logging.getLogger(__name__)

# Longest gradient; one batch of odd items must not undo what the others have taught.
LONGEST_GRADIENT: Final = 1.0
# What the loss passes over, as transformers has it.
IGNORED: Final = -100


@dataclass(frozen=True, slots=True)
class Pairs:
    """Texts and their answers as numbers of tokens, with a weight float [n] for each."""

    sources: list[list[int]]
    targets: list[list[int]]
    weights: Floats

    @classmethod
    def of(cls, tokenizer: Any, texts: Sequence[str], answers: Sequence[str], weights: Floats) -> "Pairs":
        """Tokenise n texts and their answers, each cut at 256 tokens."""
        cut = {"truncation": True, "max_length": LONGEST}
        if not texts:
            return cls([], [], weights)
        sources = tokenizer([prepared(text) for text in texts], **cut)["input_ids"]
        targets = tokenizer(text_target=[prepared(answer) for answer in answers], **cut)["input_ids"]
        return cls(sources, targets, weights)


class WritingSteps:
    """A sequence-to-sequence model, its optimiser, and what it learns from.

    Args:
        model: on its device.
        padding: the token that fills up.
        train: what it learns.
        options: how.
    """

    def __init__(self, model: Any, padding: int, train: Pairs, options: TuneOptions) -> None:
        self.per_epoch = max(1, ceil(len(train.targets) / options.batch))
        self.judged = model
        self._padding = padding
        self._train = train
        self._options = options
        self._at_once = options.at_once
        named = [parameter for parameter in model.parameters() if parameter.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [one for one in named if one.ndim > 1], "weight_decay": options.weight_decay},
            {"params": [one for one in named if one.ndim <= 1], "weight_decay": 0.0},
        ]
        self._optimiser = torch.optim.AdamW([group for group in groups if group["params"]], lr=0.0)

    def step(self, number: int, steps: int) -> None:
        """Do step `number` of `steps`; where the device has too little memory, in smaller parts.

        Raises:
            LearningError: it has too little for one item.
        """
        epoch, place = divmod(number, self.per_epoch)
        order = epoch_rows(len(self._train.targets), self._options.seed, epoch).tolist()
        rows = order[place * self._options.batch : (place + 1) * self._options.batch]
        warm_up = round(self._options.warm_up_epochs * self.per_epoch)
        for group in self._optimiser.param_groups:
            group["lr"] = self._options.backbone_rate * rate_share(number, steps, warm_up)
        while not self._accumulated(rows, number):
            release_memory()
        torch.nn.utils.clip_grad_norm_(self.judged.parameters(), LONGEST_GRADIENT)
        self._optimiser.step()

    def judge(self, items: Pairs, rows: Sequence[int]) -> tuple[float, float, float]:
        """Sums over some rows, token by token: the loss, the weight of what is right given what comes before, and all weight."""
        with torch.no_grad(), self._precision():
            loss, right, weight = self._answers(items, list(rows))
        return float(loss), float(right), float(weight)

    def state(self) -> tuple[dict[str, Tensors], dict[str, Any]]:
        """What a checkpoint must hold of it: tensors by part, and JSON values."""
        return {"model": dict(self.judged.state_dict()), "optimiser": optimiser_tensors(self._optimiser)}, {}

    def restore(self, parts: Mapping[str, Tensors], scaler: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.judged.load_state_dict(parts["model"])
        restore_optimiser(self._optimiser, parts.get("optimiser", {}))

    def _accumulated(self, rows: list[int], number: int) -> bool:
        """Accumulate the gradients of one step; False when they did not fit and smaller parts are to be tried."""
        torch.manual_seed(step_seed(self._options.seed, number))
        self._optimiser.zero_grad(set_to_none=True)
        self.judged.train()
        total = sum(len(self._train.targets[row]) * self._train.weights[row] for row in rows)
        try:
            for start in range(0, len(rows), self._at_once):
                with self._precision():
                    loss, _, _ = self._answers(self._train, rows[start : start + self._at_once])
                (loss / max(float(total), 1e-12)).backward()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if self._at_once == 1:
                raise LearningError(
                    "The device has too little memory to fine-tune on one text; use a smaller model."
                ) from error
            self._at_once //= 2
            logger.info("Out of memory; going on with %d texts at once", self._at_once)
            return False
        return True

    def _answers(self, items: Pairs, rows: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sums over the tokens of some answers: loss, weight of the right ones, weight of all."""
        device = self.judged.device
        ids = _filled([items.sources[row] for row in rows], self._padding).to(device)
        lengths = torch.tensor([len(items.sources[row]) for row in rows], device=device)
        mask = (torch.arange(ids.shape[1], device=device) < lengths[:, None]).long()
        labels = _filled([items.targets[row] for row in rows], IGNORED).to(device)
        logits = self.judged(input_ids=ids, attention_mask=mask, labels=labels).logits.float()
        each = functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none", ignore_index=IGNORED)
        weights = torch.as_tensor(items.weights[rows], dtype=torch.float32, device=device)[:, None] * (
            labels != IGNORED
        )
        right = (logits.argmax(dim=2) == labels) * weights
        return (each * weights).sum(), right.sum(), weights.sum()

    def _precision(self) -> AbstractContextManager[Any]:
        """bfloat16 on a GPU that has it; float16 overflows in T5."""
        kind = self.judged.device.type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=kind == "cuda" and torch.cuda.is_bf16_supported())


def _filled(rows: list[list[int]], filler: int) -> torch.Tensor:
    """Rows of any length as one table, int64 [n, longest]."""
    longest = max(map(len, rows))
    return torch.tensor([row + [filler] * (longest - len(row)) for row in rows], dtype=torch.int64)
