"""Token features from the encoder of a sentence-transformers model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.backbones.base import BackboneSpec, OnProgress, ResolvedBackbone
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.backbones.sentence_texts import ENCODED_AT_ONCE, load_encoder, resolve_sentence
from labelloop.learning.backbones.tokens import pack_tokens
from labelloop.learning.backbones.torch_running import inference, pick_device, run_in_batches
from labelloop.learning.backbones.word_shapes import SHAPES, pieces_of, shape_of
from labelloop.learning.words import words

BATCH: Final = 256
# Hidden layers, from the last, whose mean a token's features are: nearly as good as their concatenation, at a fourth of its
# size, and better than the last alone (Devlin et al., 2019), which was trained for the sentence as a whole.
LAYERS: Final = 4
# Columns for the pieces of a word, beside its shape and what the encoder says.
PIECES: Final = 80
# What is taken of a model that names no longest input.
USUAL_LENGTH: Final = 512
# Counted up when tokens are made differently.
_REVISION: Final = 1


class TokenTexts:
    """The words of a text as an encoder sees them, and how they are written.

    A word's features are the mean of its pieces' hidden states, averaged over the last four layers, beside its shape and its
    hashed letters (`word_shapes`). Long texts go through in windows that overlap by half; where two saw a piece, the one that
    has it further from its edge counts for more. The row of the whole is what the model itself makes of it, the mean of its
    windows where there are several; everything comes from one pass.

    Raises:
        LearningError: the device does not exist, or the model cannot be loaded or has no tokens to show.
        WeightsNotFound: the model is not on this machine.
    """

    def __init__(self, spec: BackboneSpec, resolved: ResolvedBackbone) -> None:
        self.id, self.dim = resolved.id, resolved.dim
        self._device = pick_device(spec.device)
        self._encoder = load_encoder(spec, self._device)
        self._tokenizer = self._encoder.tokenizer
        self._network: Any = getattr(self._encoder[0], "auto_model", None)
        if self._network is None or not getattr(self._tokenizer, "is_fast", False):
            raise LearningError(
                f"The text backbone {resolved.name!r} shows no tokens with their places; take one with a fast tokenizer."
            )
        self._longest = int(self._encoder.max_seq_length or USUAL_LENGTH)

    def embed(self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None) -> Floats:
        """Features of texts, float32 [n, dim].

        Raises:
            LearningError: the device has too little memory for one text.
        """
        return self.embed_dense(items, on_progress)[0]

    def embed_dense(
        self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None
    ) -> tuple[Floats, list[Dense]]:
        """Features of texts, float32 [n, dim], and of their words.

        Raises:
            LearningError: the device has too little memory for one window of a text.
        """
        rows = np.zeros((len(items), self.dim), dtype=np.float32)
        dense: list[Dense] = []

        def run(start: int, stop: int) -> None:
            # A lone surrogate becomes one question mark, so that every place stays what it was.
            texts = [str(text).encode("utf-8", "replace").decode() for text in items[start:stop]]
            rows[start:stop], found = self._embed(texts)
            dense.extend(found)
            if on_progress is not None:
                on_progress(stop)

        run_in_batches(len(items), BATCH, run)
        return rows, dense

    def _embed(self, texts: Sequence[str]) -> tuple[Floats, list[Dense]]:
        windows = self._windows(texts)
        gathered = [_Gathered(text, int(self._network.config.hidden_size)) for text in texts]
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        order = sorted(range(len(windows)), key=lambda number: len(windows[number].ids))
        for start in range(0, len(order), ENCODED_AT_ONCE):
            batch = [windows[number] for number in order[start : start + ENCODED_AT_ONCE]]
            states, vectors = self._forward(batch)
            for window, state, vector in zip(batch, states, vectors, strict=True):
                gathered[window.text].add(window, state)
                rows[window.text] += vector
        counts = np.bincount([window.text for window in windows], minlength=len(texts))
        return rows / np.maximum(counts, 1)[:, None], [one.dense() for one in gathered]

    def _windows(self, texts: Sequence[str]) -> list["_Window"]:
        said = self._tokenizer(
            list(texts),
            max_length=self._longest,
            truncation=True,
            stride=(self._longest - int(self._tokenizer.num_special_tokens_to_add())) // 2,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_token_type_ids=False,
        )
        of_text = said["overflow_to_sample_mapping"]
        parts = zip(of_text, said["input_ids"], said["offset_mapping"], strict=True)
        return [_Window(text, ids, np.array(places, dtype=np.int64).reshape(-1, 2)) for text, ids, places in parts]

    def _forward(self, windows: Sequence["_Window"]) -> tuple[list[Floats], Floats]:
        """Of each window its tokens' states [tokens, hidden], and the model's vectors of the windows [windows, dim]."""
        import torch

        padded = self._tokenizer.pad({"input_ids": [window.ids for window in windows]}, return_tensors="pt")
        asked = {name: padded[name].to(self._device) for name in ("input_ids", "attention_mask")}
        with inference(self._device):
            answer = self._network(**asked, output_hidden_states=True)
            features = {**asked, "token_embeddings": answer.last_hidden_state}
            for module in list(self._encoder)[1:]:
                features = module(features)
            layers = answer.hidden_states[1:][-LAYERS:]
            states = torch.stack(list(layers)).float().mean(dim=0).cpu().numpy()
        vectors: Floats = features["sentence_embedding"].float().cpu().numpy()
        kept = asked["attention_mask"].cpu().numpy().astype(bool)
        return [state[mask] for state, mask in zip(states, kept, strict=True)], vectors


def resolve_tokens(spec: BackboneSpec) -> ResolvedBackbone:
    """Find a sentence-transformers model whose tokens are wanted; torch is not imported.

    Raises:
        LearningError: sentence-transformers is not installed, or what lies at the path is not such a model.
        WeightsNotFound: the model is neither here nor to be had.
    """
    found = resolve_sentence(spec)
    return replace(found, id=f"tokens-{_REVISION}-{found.id}")


@dataclass(frozen=True, slots=True)
class _Window:
    """A part of a text as the encoder reads it: its number, its pieces, and their characters; (0, 0) of special pieces."""

    text: int
    ids: list[int]
    places: Ints


class _Gathered:
    """What the windows of one text have said of its words so far."""

    def __init__(self, text: str, hidden: int) -> None:
        self._text = text
        self._places = words(text)
        self._word_of = np.full(len(text) + 1, -1, dtype=np.int64)
        for number, (start, end) in enumerate(self._places):
            self._word_of[start:end] = number
        self._sums = np.zeros((len(self._places), hidden), dtype=np.float32)
        self._weights = np.zeros(len(self._places), dtype=np.float32)

    def add(self, window: _Window, states: Floats) -> None:
        """Add the states [tokens, hidden] of a window's pieces to the words that they are parts of."""
        starts, ends = window.places[:, 0], window.places[:, 1]
        place = np.arange(len(starts))
        inwards = np.minimum(place, place[::-1]).astype(np.float32) + 1
        first, last = self._word_of[starts], self._word_of[np.maximum(ends - 1, 0)]
        for offset in range(int((last - first).max(initial=0)) + 1):
            word = first + offset
            part = np.flatnonzero((ends > starts) & (first >= 0) & (word <= last))
            np.add.at(self._sums, word[part], states[part] * inwards[part, None])
            np.add.at(self._weights, word[part], inwards[part])

    def dense(self) -> Dense:
        """The words of the text; one that the encoder passes over has zeros where its states would be."""
        states = self._sums / np.maximum(self._weights, 1e-6)[:, None]
        written = np.zeros((len(self._places), PIECES + SHAPES), dtype=np.float32)
        for number, (start, end) in enumerate(self._places):
            word = self._text[start:end]
            written[number, :PIECES], written[number, PIECES:] = pieces_of(word, PIECES, "own"), shape_of(word)
        return pack_tokens(np.concatenate([states, written], axis=1), self._places)
