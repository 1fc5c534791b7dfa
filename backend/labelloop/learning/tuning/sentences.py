"""Texts: a sentence-transformers encoder and what it is shown while it learns."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch

from labelloop.learning.backbones import BackboneSpec
from labelloop.learning.backbones.sentence_texts import CHARS_PER_TOKEN, load_encoder, resolve_sentence
from labelloop.learning.backbones.torch_running import pick_device
from labelloop.learning.texts import well_formed
from labelloop.learning.tuning.media import View

# Share of a text's words that an augmented view leaves out.
LEFT_OUT: Final = {"weak": 0.1, "strong": 0.25}


class Sentences:
    """A sentence-transformers encoder, to be trained.

    Raises:
        LearningError: the device does not exist, or the model cannot be loaded.
        WeightsNotFound: the model is not on this machine.
    """

    def __init__(self, spec: BackboneSpec) -> None:
        self.device = pick_device(spec.device)
        encoder = load_encoder(spec, self.device)
        self.network = _Encoded(encoder)
        self.dim = resolve_sentence(spec).dim
        self._longest = CHARS_PER_TOKEN * int(encoder.max_seq_length or 8192)

    def open(self, item: Any) -> tuple[str, int]:
        """A text that can be tokenised, cut where the encoder would cut it, and about its bytes."""
        text = well_formed(str(item)[: self._longest])
        return text, 4 * len(text)

    def batch(self, opened: Sequence[Any], view: View) -> dict[str, Any]:
        """Tokens on the device."""
        texts = list(opened) if view == "plain" else [_thinned(text, LEFT_OUT[view]) for text in opened]
        tokens = self.network.encoder.preprocess(texts)
        return {name: value.to(self.device) if hasattr(value, "to") else value for name, value in tokens.items()}

    def save(self, network: Any, folder: Path) -> None:
        """Write the encoder as sentence-transformers does: safetensors, JSON and its vocabulary."""
        network.encoder.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)


class _Encoded(torch.nn.Module):
    """An encoder that answers with the sentence's vector alone."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, tokens: dict[str, Any]) -> torch.Tensor:
        # The encoder's modules add their outputs to the dictionary they are given.
        vector: torch.Tensor = self.encoder(dict(tokens))["sentence_embedding"]
        return vector


def _thinned(text: str, share: float) -> str:
    """The text without some of its words, drawn from torch's global generator; never without all of them."""
    words = text.split()
    kept = [word for word, stays in zip(words, torch.rand(len(words)) >= share, strict=True) if stays]
    return " ".join(kept) or text
