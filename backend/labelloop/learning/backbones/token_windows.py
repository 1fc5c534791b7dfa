"""Texts as an encoder reads them, in windows of pieces of words, and which pieces are parts of which word."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.backbones.base import BackboneSpec
from labelloop.learning.backbones.sentence_texts import load_encoder
from labelloop.learning.words import words

# Hidden layers, from the last, whose mean a piece's state is: nearly as good as their concatenation, at a fourth of its size,
# and better than the last alone (Devlin et al., 2019), which was trained for the sentence as a whole.
LAYERS: Final = 4
# Pieces of a window at most: some models would read tens of thousands at once, for which there is no memory, and what a word
# means is told by what is near it.
LONGEST: Final = 512


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a text as the encoder reads it: the text's number, its pieces, and their characters; (0, 0) of special pieces."""

    text: int
    ids: list[int]
    places: Ints


@dataclass(frozen=True, slots=True)
class WordParts:
    """Which pieces of a window are parts of which word.

    Attributes:
        words: int64 [m], numbers of words; a word comes once for each of its pieces, a piece once for each of its words.
        pieces: int64 [m], the place in the window of each piece.
        inwards: float32 [m], at least 1, how far that is from the window's edge.
    """

    words: Ints
    pieces: Ints
    inwards: Floats


class TokenEncoder:
    """A sentence-transformers model whose pieces of words are looked at.

    Attributes:
        model: the whole model.
        network: the transformer in it.
        tokenizer: cuts texts into pieces.
        hidden: length of a piece's state.

    Raises:
        LearningError: the model cannot be loaded, or has no tokens to show.
        WeightsNotFound: the model is not on this machine.
    """

    def __init__(self, spec: BackboneSpec, device: Any) -> None:
        self.model = load_encoder(spec, device)
        self.tokenizer = self.model.tokenizer
        self.network: Any = getattr(self.model[0], "auto_model", None)
        if self.network is None or not getattr(self.tokenizer, "is_fast", False):
            raise LearningError(
                f"The text backbone {spec.name!r} shows no tokens with their places; take one with a fast tokenizer."
            )
        self.hidden = int(self.network.config.hidden_size)
        self._longest = min(int(self.model.max_seq_length or LONGEST), LONGEST)

    def windows(self, texts: Sequence[str]) -> list[Window]:
        """The windows of texts, which overlap by half; each text has one at least."""
        said = self.tokenizer(
            list(texts),
            max_length=self._longest,
            truncation=True,
            stride=(self._longest - int(self.tokenizer.num_special_tokens_to_add())) // 2,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_token_type_ids=False,
        )
        of_text = said["overflow_to_sample_mapping"]
        parts = zip(of_text, said["input_ids"], said["offset_mapping"], strict=True)
        return [Window(text, ids, np.array(places, dtype=np.int64).reshape(-1, 2)) for text, ids, places in parts]

    def padded(self, windows: Sequence[list[int]], device: Any) -> dict[str, Any]:
        """The pieces of windows as the network takes them, `input_ids` and `attention_mask`, int64 [windows, longest]."""
        padded = self.tokenizer.pad({"input_ids": list(windows)}, return_tensors="pt")
        return {name: padded[name].to(device) for name in ("input_ids", "attention_mask")}


def states_of(answer: Any) -> Any:
    """The pieces' states, float32 [windows, longest, hidden], of what the network answered with all its hidden states."""
    import torch

    return torch.stack(list(answer.hidden_states[1:][-LAYERS:])).float().mean(dim=0)


def readable(item: Any) -> str:
    """A text as tokenizers take it: a lone surrogate becomes one question mark, so that every place stays what it was."""
    return str(item).encode("utf-8", "replace").decode()


class WordPlaces:
    """Where a text's words are.

    Attributes:
        places: of each word the first character and the one after the last.
    """

    def __init__(self, text: str) -> None:
        self.places = words(text)
        self._starts, self._ends = np.array(self.places, dtype=np.int64).reshape(-1, 2).T

    def parts(self, window: Window) -> WordParts:
        """Which of a window's pieces are parts of which of the text's words.

        A piece is a part of every word that it touches; many tokenizers have the blank before a word in its first piece.
        """
        starts, ends = window.places.T
        first = np.searchsorted(self._ends, starts, side="right")
        after = np.searchsorted(self._starts, ends, side="left")
        counts = np.where(ends > starts, np.maximum(after - first, 0), 0)
        place = np.arange(len(starts))
        pieces = np.repeat(place, counts)
        offsets = np.arange(len(pieces)) - np.repeat(np.cumsum(counts) - counts, counts)
        inwards = np.minimum(place, place[::-1]).astype(np.float32) + 1
        return WordParts(first[pieces] + offsets, pieces, inwards[pieces])
