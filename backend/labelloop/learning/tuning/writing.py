"""The steps of fine-tuning a sequence-to-sequence model: what it learns from one batch of texts and their answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn import functional

from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.backbones.written_texts import LONGEST, prepared
from labelloop.learning.tuning.gradient_steps import GradientSteps, half_precision, plain_groups
from labelloop.learning.tuning.judged import Judged
from labelloop.learning.tuning.options import TuneOptions

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


class WritingSteps(GradientSteps):
    """A sequence-to-sequence model, and what it learns from.

    Args:
        model: on its device.
        padding: the token that fills up.
        train: what it learns.
        options: how.
    """

    def __init__(self, model: Any, padding: int, train: Pairs, options: TuneOptions) -> None:
        groups = plain_groups(model, options.backbone_rate, options.weight_decay)
        # float16 overflows in T5.
        super().__init__(model, groups, len(train.targets), options, half_precision(model.device, float16=False))
        self._padding = padding
        self._train = train

    def judge(self, items: Pairs, rows: Sequence[int]) -> Judged:
        """What is found in some rows, token by token; right is what is right given what comes before."""
        with torch.no_grad(), self._precision():
            return Judged.as_it_is(*self._answers(items, list(rows)))

    def total(self, rows: Ints) -> float:
        """The weight of the answers' tokens."""
        return float(sum(len(self._train.targets[row]) * self._train.weights[row] for row in rows))

    def loss(self, rows: list[int]) -> Any:
        """The weighted cross-entropy of some answers, summed over their tokens."""
        return self._answers(self._train, rows)[0]

    def _answers(self, items: Pairs, rows: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sums over the tokens of some answers: loss, weight of the right ones, weight of all."""
        device = self._device
        ids = _filled([items.sources[row] for row in rows], self._padding).to(device)
        lengths = torch.tensor([len(items.sources[row]) for row in rows], device=device)
        mask = (torch.arange(ids.shape[1], device=device) < lengths[:, None]).long()
        labels = _filled([items.targets[row] for row in rows], IGNORED).to(device)
        logits = self._model(input_ids=ids, attention_mask=mask, labels=labels).logits.float()
        each = functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none", ignore_index=IGNORED)
        weights = torch.as_tensor(items.weights[rows], dtype=torch.float32, device=device)[:, None] * (
            labels != IGNORED
        )
        right = (logits.argmax(dim=2) == labels) * weights
        return (each * weights).sum(), right.sum(), weights.sum()


def _filled(rows: list[list[int]], filler: int) -> torch.Tensor:
    """Rows of any length as one table, int64 [n, longest]."""
    longest = max(map(len, rows))
    return torch.tensor([row + [filler] * (longest - len(row)) for row in rows], dtype=torch.int64)
