"""What a backbone is: asked for by a spec, found once, then loaded where items are to be embedded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from labelloop.learning.arrays import Floats
from labelloop.records import Modality

OnProgress = Callable[[int], None]


class Parts(StrEnum):
    """Which parts of an item have features of their own."""

    NONE = ""  # the item as a whole alone
    MAP = "map"  # the cells of a grid over the image
    TOKENS = "tokens"  # the words, or pieces of words, of the text
    OUTPUT = "output"  # no part of the text, but what a model writes in answer to it


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """Which backbone a person asks for.

    Attributes:
        modality: what it reads.
        name: `auto`, `plain`, a torchvision classifier, or a sentence-transformers model (for outputs: a sequence-to-sequence
            one) by name or path; several names with `+` between them are joined.
        weights: path of local weights for an image backbone; empty: the ones its library names.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        offline: never try to download weights.
        parts: which parts have features beside the item as a whole; `Parts.NONE`: none.
        prefix: what a sequence-to-sequence model wants before each text, as T5 does.
        languages: from which language to which one of many translates, as `en_XX:de_DE`; empty: as it comes.
    """

    modality: Modality
    name: str
    weights: str = ""
    device: str = "auto"
    offline: bool = False
    parts: Parts = Parts.NONE
    prefix: str = ""
    languages: str = ""


@dataclass(frozen=True, slots=True)
class ResolvedBackbone:
    """What was found for a spec.

    Attributes:
        name: what will run; `plain` where `auto` found nothing better.
        id: a directory name that changes whenever the features would.
        dim: length of one feature row.
        note: why a fallback is used, one sentence; empty when it is none.
        tuned: where weights fine-tuned on a project's labels are kept, as whoever keeps them names the place; a spec must
            point to a copy of them before they are loaded. Empty: the weights are those that the spec means.
        blocks: how many columns of a row are of each backbone, where several are joined; empty: it is one.
    """

    name: str
    id: str
    dim: int
    note: str = ""
    tuned: str = ""
    blocks: tuple[int, ...] = ()


class Backbone(Protocol):
    """Turns media into rows of features; its numbers never change."""

    id: str
    dim: int

    def embed(self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None) -> Floats:
        """Features of images (encoded) or texts.

        Args:
            items: n images or n texts.
            on_progress: told how many items are done, after each batch.

        Returns:
            float32 [n, dim]; a row of NaN for an image that cannot be decoded.
        """
        ...
