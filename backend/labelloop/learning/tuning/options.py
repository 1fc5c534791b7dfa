"""How a backbone is fine-tuned."""

from dataclasses import dataclass
from typing import Final

from labelloop.errors import LearningError

METHODS: Final = ("supervised", "mean_teacher", "pseudo_label")
AUGMENTATIONS: Final = ("none", "weak", "strong")


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """What a fine-tuning is told; the defaults suit some hundreds of labels.

    Attributes:
        method: `supervised`; or `mean_teacher` or `pseudo_label`, which learn from unlabelled items too.
        epochs: passes over the labelled items at most.
        batch: labelled items behind one step of the optimiser.
        at_once: items in one pass through the network; smaller than `batch`, gradients are accumulated.
        head_rate: highest learning rate of the head.
        backbone_rate: highest learning rate of the backbone's last layer.
        first_layer_share: the first layer's rate as a share of the last one's; those between lie between, geometrically.
        weight_decay: of everything but biases and normalisations.
        warm_up_epochs: over which the rates rise from 0, before they fall along a half cosine.
        augmentation: `none`, `weak` (crop and a little colour; for texts, words left out) or `strong` (RandAugment as well).
        flip: images may be mirrored. Off: digits, signs, texts and left hands mean something else in a mirror.
        balance: how far rare classes are weighted up, from 0 (not at all) to 1 (each class counts the same).
        patience: epochs without a lower loss on the validation items after which it ends.
        validation_share: share of the labelled items set aside for that where the caller gives none.
        seconds: wall-clock budget over all resumptions; when it is spent, what it has reached is judged, and the best so far is
            what comes of it. 0: none.
        checkpoint_every: seconds between checkpoints.
        unlabelled_ratio: unlabelled items in a step for each labelled one.
        unlabelled_weight: weight of their loss once it is ramped up.
        ramp_up: share of all steps over which that weight rises.
        teacher_decay: share of itself that the mean teacher keeps at each step.
        confidence: probability above which a pseudo-label is believed, for the class learnt best; less for the others.
        threads: threads of the processor that the networks may use; 0: half of its cores, at least one, since a fine-tuning
            runs beside a server and rounds, and threads that wait for each other on a busy machine cost it many times over.
        network: which one is trained. Of areas: `auto`, `unet`, or one of torchvision's by name. Of boxes: the detector, `auto`, one
            of torchvision's by name, a light one such as `fcos_mobilenet_v2`, or the path of a folder.
        seed: decides every draw.
    """

    method: str = "supervised"
    epochs: int = 30
    batch: int = 32
    at_once: int = 32
    head_rate: float = 1e-3
    backbone_rate: float = 2e-4
    first_layer_share: float = 0.1
    weight_decay: float = 0.02
    warm_up_epochs: float = 1.0
    augmentation: str = "weak"
    flip: bool = False
    balance: float = 0.5
    patience: int = 6
    validation_share: float = 0.2
    seconds: float = 0.0
    checkpoint_every: float = 60.0
    unlabelled_ratio: float = 1.0
    unlabelled_weight: float = 1.0
    ramp_up: float = 0.4
    teacher_decay: float = 0.99
    confidence: float = 0.9
    threads: int = 0
    network: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            LearningError: a value is not one of those there are, or out of its range.
        """
        _one_of("method", self.method, METHODS)
        _one_of("augmentation", self.augmentation, AUGMENTATIONS)
        for name in ("epochs", "batch", "at_once", "patience"):
            if getattr(self, name) < 1:
                raise LearningError(f"{name} of a fine-tuning must be at least 1, not {getattr(self, name)}.")
        for name in ("first_layer_share", "balance", "validation_share", "ramp_up", "teacher_decay", "confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise LearningError(f"{name} of a fine-tuning must lie in [0, 1], not {getattr(self, name)}.")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise LearningError(f"There is no {name} {value!r} of a fine-tuning; there are {', '.join(known)}.")
