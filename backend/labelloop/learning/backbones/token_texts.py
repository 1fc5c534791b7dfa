"""Token features from the encoder of a sentence-transformers model."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.base import BackboneSpec, OnProgress, ResolvedBackbone
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.backbones.sentence_texts import ENCODED_AT_ONCE, find_folder, resolve_sentence
from labelloop.learning.backbones.taught import digest_of, read_taught
from labelloop.learning.backbones.token_windows import TokenEncoder, Window, WordPlaces, readable, states_of
from labelloop.learning.backbones.tokens import pack_tokens
from labelloop.learning.backbones.torch_running import inference, pick_device, run_in_batches
from labelloop.learning.backbones.word_shapes import written_as

BATCH: Final = 256
# Counted up when tokens are made differently.
_REVISION: Final = 2


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
        self._encoder = TokenEncoder(spec, self._device)
        self._taught = read_taught(find_folder(spec.name, offline=True))

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
            rows[start:stop], found = self._embed([readable(text) for text in items[start:stop]])
            dense.extend(found)
            if on_progress is not None:
                on_progress(stop)

        run_in_batches(len(items), BATCH, run)
        return rows, dense

    def _embed(self, texts: Sequence[str]) -> tuple[Floats, list[Dense]]:
        windows = self._encoder.windows(texts)
        gathered = [_Gathered(text, self._encoder.hidden) for text in texts]
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        order = sorted(range(len(windows)), key=lambda number: len(windows[number].ids))
        for start in range(0, len(order), ENCODED_AT_ONCE):
            batch = [windows[number] for number in order[start : start + ENCODED_AT_ONCE]]
            states, vectors = self._forward(batch)
            for window, state, vector in zip(batch, states, vectors, strict=True):
                gathered[window.text].add(window, state)
                rows[window.text] += vector
        counts = np.bincount([window.text for window in windows], minlength=len(texts))
        taught = [digest_of(text) in self._taught for text in texts]
        dense = [one.dense(taught=known) for one, known in zip(gathered, taught, strict=True)]
        return rows / np.maximum(counts, 1)[:, None], dense

    def _forward(self, windows: Sequence[Window]) -> tuple[list[Floats], Floats]:
        """Of each window its tokens' states [tokens, hidden], and the model's vectors of the windows [windows, dim]."""
        asked = self._encoder.padded([window.ids for window in windows], self._device)
        with inference(self._device):
            answer = self._encoder.network(**asked, output_hidden_states=True)
            features = {**asked, "token_embeddings": answer.last_hidden_state}
            for module in list(self._encoder.model)[1:]:
                features = module(features)
            states = states_of(answer).cpu().numpy()
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


class _Gathered:
    """What the windows of one text have said of its words so far."""

    def __init__(self, text: str, hidden: int) -> None:
        self._text = text
        self._words = WordPlaces(text)
        self._sums = np.zeros((len(self._words.places), hidden), dtype=np.float32)
        self._weights = np.zeros(len(self._words.places), dtype=np.float32)

    def add(self, window: Window, states: Floats) -> None:
        """Add the states [tokens, hidden] of a window's pieces to the words that they are parts of."""
        parts = self._words.parts(window)
        np.add.at(self._sums, parts.words, states[parts.pieces] * parts.inwards[:, None])
        np.add.at(self._weights, parts.words, parts.inwards)

    def dense(self, *, taught: bool) -> Dense:
        """The words of the text; one that the encoder passes over has zeros where its states would be."""
        states = self._sums / np.maximum(self._weights, 1e-6)[:, None]
        places = self._words.places
        written = written_as([self._text[start:end] for start, end in places])
        return pack_tokens(np.concatenate([states, written], axis=1), places, taught=taught)
