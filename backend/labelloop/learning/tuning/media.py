"""What fine-tuning asks of a modality: its network, how items get in, and how the result is kept."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from labelloop.learning.backbones import BackboneSpec, Parts
from labelloop.records import Modality

# The one file of weights that a tuned image backbone consists of, beside what is said of them.
WEIGHTS: Final = "weights.safetensors"
View = Literal["plain", "weak", "strong"]
"""How an item is shown: as it will be embedded, or augmented a little, or a lot."""
VIEWS: Final[dict[str, View]] = {"none": "plain", "weak": "weak", "strong": "strong"}
"""The view of each augmentation that `TuneOptions` may ask for."""


class Medium(Protocol):
    """Images or texts.

    Attributes:
        network: a torch module that gives features [n, dim] of what `batch` gives.
        dim: length of a feature row.
        device: where it runs.
    """

    network: Any
    dim: int
    device: Any

    def open(self, item: Any) -> tuple[Any, int] | None:
        """An item ready to be shown, and its size in bytes; None when it cannot be read."""
        ...

    def batch(self, opened: Sequence[Any], view: View) -> Any:
        """The network's input; augmentation draws from torch's global generator."""
        ...

    def save(self, network: Any, folder: Path) -> None:
        """Write a network of this kind, and how its items are prepared, into a folder."""
        ...


def open_medium(spec: BackboneSpec, *, flip: bool = False) -> Medium:
    """The network that a spec means, ready to be trained.

    Args:
        spec: which.
        flip: augmented views of an image may be mirrored.

    Raises:
        LearningError: it cannot be loaded.
        WeightsNotFound: its weights are not on this machine.
    """
    if spec.modality is Modality.IMAGE:
        from labelloop.learning.tuning.pictures import Pictures

        return Pictures(spec, flip=flip)
    from labelloop.learning.tuning.sentences import Sentences

    return Sentences(spec)


def spec_of(spec: BackboneSpec, folder: Path) -> BackboneSpec:
    """The spec that means what a fine-tuning has saved into a folder."""
    if spec.modality is Modality.IMAGE and spec.parts is not Parts.OUTPUT:
        return replace(spec, name="auto", weights=str(folder / WEIGHTS))
    return replace(spec, name=str(folder), weights="")
