"""What goes into a fine-tuning and what comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones import BackboneSpec, ResolvedBackbone

Items = Sequence[bytes] | Sequence[str]
Ending = Literal["all epochs", "no further gain", "budget"]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a network is fine-tuned on.

    Attributes:
        items: n labelled images (encoded) or texts; read one by one as they are needed, so they may lie on a disk.
        targets: what people said of them, n targets of one kind; what is not among `classes` is left out.
        classes: every class of the control; none where a kind has no classes.
        validation_items: labelled items that decide when to stop, never trained on; none: a share of `items` is set aside.
        validation_targets: what people said of them.
        unlabelled: items without a label, for the methods that learn from them.
        features: float32 [n, d] of `items` under the backbone as it is now; None: they are computed where they are needed.
    """

    items: Items
    targets: Sequence[Any]
    classes: Sequence[str] = ()
    validation_items: Items = ()
    validation_targets: Sequence[Any] = ()
    unlabelled: Items = ()
    features: Floats | None = None


@dataclass(frozen=True, slots=True)
class EpochNote:
    """How far it was after an epoch.

    Attributes:
        epoch: 0 is the head alone, on the backbone as it was.
        loss: log loss (natural) on the validation items, weighted as they are; of classes and spans once it is calibrated.
        accuracy: share of them that is right, in [0, 1].
    """

    epoch: int
    loss: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Tuned:
    """A fine-tuned backbone.

    Attributes:
        backbone: what `load_backbone` loads with `spec`; its id names the tuned weights.
        spec: the backbone asked for, pointing at `folder`.
        folder: holds the weights as safetensors and how items are prepared for them as JSON.
        epochs: from epoch 0 on.
        best: the epoch whose weights these are; 0: fine-tuning has gained nothing, and they are the old ones.
        ended: why it ended.
        validation: items that decided it.
        seconds: wall-clock time it took, over all resumptions.
    """

    backbone: ResolvedBackbone
    spec: BackboneSpec
    folder: Path
    epochs: tuple[EpochNote, ...]
    best: int
    ended: Ending
    validation: int
    seconds: float = field(compare=False)

    def __str__(self) -> str:
        """One sentence with the figures."""
        before, after = self.epochs[0], self.epochs[self.best]
        return (
            f"{self.backbone.name}: log loss {before.loss:.3f} to {after.loss:.3f}, accuracy {before.accuracy:.1%} to "
            f"{after.accuracy:.1%} on {self.validation} validation labels, best of {len(self.epochs) - 1} epochs is "
            f"{self.best} ({self.ended}, {self.seconds:.0f} s)."
        )
