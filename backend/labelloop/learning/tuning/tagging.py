"""The steps of fine-tuning an encoder for spans: what it learns from one batch of tagged words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from torch.nn import functional

from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.backbones.token_windows import TokenEncoder, WordParts, WordPlaces, readable, states_of
from labelloop.learning.backbones.word_shapes import PIECES, SHAPES, written_as
from labelloop.learning.spans.reading import LEAST_SPREAD
from labelloop.learning.spans.tags import POSITIONS, columns, disjoint, on_tokens, to_tags
from labelloop.learning.tuning.gradient_steps import GradientSteps, half_precision
from labelloop.learning.tuning.judged import Judged, at_temperatures
from labelloop.learning.tuning.model import fit_head, parameter_groups
from labelloop.learning.tuning.options import TuneOptions
from labelloop.learning.tuning.schedule import class_weights, epoch_rows
from labelloop.records import SpansTarget

# Share of a word's features that the head does without in a step (Srivastava et al., 2014), as the learner's networks do.
DROPOUT: Final = 0.25
# Share of a text's pieces that an augmented view hides, so that words are told from what stands around them.
HIDDEN: Final = {"none": 0.0, "weak": 0.1, "strong": 0.25}
# Words that the first head is fitted to.
START_WORDS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Excerpts:
    """Windows of labelled texts, each with the words that lie in it.

    Attributes:
        ids: the pieces of each window.
        words: its words, as they are written.
        parts: which of its pieces are parts of which of those words, counted from 0.
        targets: the tag of each word, int64 [words].
        weights: of each word, float64 [words]; over all windows that a word is in they sum to its text's.
    """

    ids: list[list[int]] = field(default_factory=list)
    words: list[list[str]] = field(default_factory=list)
    parts: list[WordParts] = field(default_factory=list)
    targets: list[Ints] = field(default_factory=list)
    weights: list[Floats] = field(default_factory=list)

    @classmethod
    def of(
        cls, encoder: TokenEncoder, texts: Sequence[Any], targets: Sequence[SpansTarget], classes: Sequence[str]
    ) -> "Excerpts":
        """The windows of n texts as a learner would see and tag them, the shortest text first; windows without a word are left out."""
        found = cls()
        numbers = {label: number for number, label in enumerate(classes)}
        pairs = [(readable(item), target) for item, target in zip(texts, targets, strict=True)]
        # Neighbours of like length go through the network together, with little to fill up.
        for text, target in sorted(pairs, key=lambda pair: len(pair[0])):
            found._add(encoder, text, target, numbers)
        return found

    def _add(self, encoder: TokenEncoder, text: str, target: SpansTarget, numbers: dict[str, int]) -> None:
        places = WordPlaces(text)
        starts, ends = np.array(places.places, dtype=np.int64).reshape(-1, 2).T
        tags = to_tags(disjoint(on_tokens(target.spans, starts, ends, numbers)), len(starts))
        windows = encoder.windows([text])
        parts = [places.parts(window) for window in windows]
        counted = [np.bincount(one.words, one.inwards, minlength=len(starts)) for one in parts]
        shares = np.maximum(np.sum(counted, axis=0), 1e-12)
        for window, one, count in zip(windows, parts, counted, strict=True):
            inside, local = np.unique(one.words, return_inverse=True)
            if inside.size:
                self.ids.append(window.ids)
                self.words.append([text[slice(*places.places[number])] for number in inside])
                self.parts.append(WordParts(local, one.pieces, (one.inwards / count[one.words]).astype(np.float32)))
                self.targets.append(tags[inside])
                self.weights.append(target.weight * count[inside] / shares[inside])


class Tagger(torch.nn.Module):
    """An encoder with a linear head on its words' features, scaled as the learner scales them.

    Args:
        encoder: whose network learns.
        classes: how many classes of spans.
    """

    centre: torch.Tensor
    spread: torch.Tensor

    def __init__(self, encoder: TokenEncoder, classes: int) -> None:
        super().__init__()
        channels = encoder.hidden + PIECES + SHAPES
        self.network = encoder.network
        self.head = torch.nn.Linear(channels, columns(classes))
        self.register_buffer("centre", torch.zeros(channels))
        self.register_buffer("spread", torch.ones(channels))

    def forward(self, batch: "_Batch") -> torch.Tensor:
        """Logits float32 [words, tags] of a batch's words, one after the other."""
        return self.answer(self.features(batch))

    def features(self, batch: "_Batch") -> torch.Tensor:
        """What the learner will read of the words, float32 [words, channels], but for the windows they are not seen in."""
        states = states_of(self.network(**batch.asked, output_hidden_states=True)).flatten(0, 1)
        parts = states.index_select(0, batch.pieces) * batch.shares[:, None]
        words = torch.zeros(len(batch.written), states.shape[1], device=states.device)
        return torch.cat([words.index_add(0, batch.words, parts), batch.written], dim=1)

    def answer(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of features [words, channels]."""
        logits: torch.Tensor = self.head(functional.dropout(self.scaled(features), DROPOUT, self.training))
        return logits

    def scaled(self, features: torch.Tensor) -> torch.Tensor:
        """Features [words, channels] as the head reads them, of a length of about 1."""
        return (features - self.centre) / self.spread

    def scale_to(self, features: torch.Tensor) -> None:
        """Scale as it suits these features [words, channels]."""
        self.centre.copy_(features.mean(dim=0))
        spread = features.std(dim=0, correction=0).clamp(min=LEAST_SPREAD)
        self.spread.copy_(spread * features.shape[1] ** 0.5)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Some windows on the device: what the network is asked, and how its answer becomes words.

    `pieces` and `words` int64 [m] say which piece, counted over all windows, is a part of which word; `shares` float32 [m]
    how much it counts; `written` float32 [words, columns] how the words are written.
    """

    asked: dict[str, torch.Tensor]
    pieces: torch.Tensor
    words: torch.Tensor
    shares: torch.Tensor
    written: torch.Tensor


class TaggingSteps(GradientSteps):
    """A tagger, and what it learns from.

    Args:
        encoder: whose network learns.
        classes: how many classes of spans.
        train: what it learns; one window or more.
        options: how.
    """

    def __init__(self, encoder: TokenEncoder, classes: int, train: Excerpts, options: TuneOptions) -> None:
        device = encoder.network.device
        tagger = Tagger(encoder, classes).to(device)
        groups = parameter_groups(tagger.network, tagger.head, options)
        super().__init__(tagger, groups, len(train.targets), options, half_precision(device))
        self._encoder = encoder
        self._train = train
        self._balance = _balance(train, classes, options.balance).to(device)

    def start(self) -> None:
        """Fit the head to the encoder as it is, on some of the texts; see `model.start_head`."""
        rows, found = [int(row) for row in epoch_rows(self._count, self._options.seed, 0)], list[torch.Tensor]()
        sizes = np.cumsum([len(self._train.targets[row]) for row in rows])
        rows = sorted(rows[: int(np.searchsorted(sizes, START_WORDS)) + 1])
        self._model.eval()
        for part in self._parts(np.array(rows)):
            with torch.no_grad(), self._precision():
                found.append(self._model.features(self._batch(self._train, part)))
        features = torch.cat(found)
        self._model.scale_to(features)
        tags, weights = self._of(self._train, rows)
        told = tags.cpu()
        fit_head(
            self._model.head,
            self._model.scaled(features).cpu(),
            weights * self._balance[tags],
            lambda logits: functional.cross_entropy(logits, told, reduction="none"),
        )

    def judge(self, items: Excerpts, rows: Sequence[int]) -> Judged:
        """What is found in some windows, word by word, calibrated."""
        with torch.no_grad(), self._precision():
            logits = self._model(self._batch(items, rows)).float()
        tags, weights = self._of(items, rows)
        losses = at_temperatures(
            logits, lambda said: (functional.cross_entropy(said, tags, reduction="none") * weights).sum()
        )
        return Judged(losses, float(((logits.argmax(dim=1) == tags) * weights).sum()), float(weights.sum()))

    def total(self, rows: Ints) -> float:
        """The weight of the words."""
        tags, weights = self._of(self._train, [int(row) for row in rows])
        return float((weights * self._balance[tags]).sum())

    def loss(self, rows: list[int]) -> Any:
        """The weighted cross-entropy of some windows, summed over their words."""
        share = HIDDEN[self._options.augmentation]
        logits = self._model(self._batch(self._train, rows, share))
        tags, weights = self._of(self._train, rows)
        each = functional.cross_entropy(logits.float(), tags, reduction="none")
        return (each * weights * self._balance[tags]).sum()

    def _parts(self, rows: Ints) -> list[list[int]]:
        """Rows in ascending order, and so windows of like length together."""
        return super()._parts(np.sort(rows))

    def _of(self, items: Excerpts, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Tags int64 and weights float32 of the words of some windows, one after the other."""
        tags = np.concatenate([items.targets[row] for row in rows])
        weights = np.concatenate([items.weights[row] for row in rows]).astype(np.float32)
        return torch.as_tensor(tags, device=self._device), torch.as_tensor(weights, device=self._device)

    def _batch(self, items: Excerpts, rows: Sequence[int], hidden: float = 0.0) -> _Batch:
        asked = self._encoder.padded([items.ids[row] for row in rows], self._device)
        longest = asked["input_ids"].shape[1]
        firsts = np.cumsum([0, *(len(items.targets[row]) for row in rows)])
        chosen = [items.parts[row] for row in rows]
        pieces = torch.as_tensor(np.concatenate([longest * place + one.pieces for place, one in enumerate(chosen)]))
        words = np.concatenate([first + one.words for first, one in zip(firsts[:-1], chosen, strict=True)])
        shares = np.concatenate([one.inwards for one in chosen])
        mask = self._encoder.tokenizer.mask_token_id
        if hidden and mask is not None:
            asked["input_ids"].view(-1)[pieces[torch.rand(len(pieces)) < hidden].to(self._device)] = mask
        written = written_as([word for row in rows for word in items.words[row]])
        on_device = (torch.as_tensor(part).to(self._device) for part in (pieces, words, shares, written))
        return _Batch(asked, *on_device)


def _balance(train: Excerpts, classes: int, balance: float) -> torch.Tensor:
    """How much a word of each tag counts, float32 [tags]: tags of one class alike, so that only classes are balanced."""
    groups = np.concatenate([[0], 1 + np.repeat(np.arange(classes), POSITIONS)])
    tags = np.concatenate(train.targets)
    counts = np.bincount(groups[tags], np.concatenate(train.weights), minlength=1 + classes).astype(float)
    return torch.as_tensor(class_weights(counts, balance)[groups], dtype=torch.float32)
