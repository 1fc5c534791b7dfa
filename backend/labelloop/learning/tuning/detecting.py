"""The steps of fine-tuning a detector: what it learns from one batch of images and their boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from labelloop.learning.arrays import Floats, Ints
from labelloop.learning.backbones.detector_networks import encoder_of, hold_still
from labelloop.learning.backbones.torch_running import draws_apart
from labelloop.learning.boxes.decoding import Candidates
from labelloop.learning.boxes.lessons import Truth, truth_of
from labelloop.learning.boxes.matching import hits
from labelloop.learning.tuning.framing import Framing
from labelloop.learning.tuning.gradient_steps import GradientSteps, plain_groups
from labelloop.learning.tuning.judged import Judged
from labelloop.learning.tuning.options import TuneOptions
from labelloop.learning.tuning.schedule import step_seed
from labelloop.learning.tuning.shelves import Shelf
from labelloop.records import BoxesTarget

# A box found in an image without any is wrong from this score on.
FOUND: Final = 0.5


@dataclass(frozen=True, slots=True)
class Drawn:
    """Images with what people drew in them.

    Attributes:
        shelf: opened images, `Squashed`.
        targets: n of them.
        classes: those that are learnt.
    """

    shelf: Shelf
    targets: Sequence[BoxesTarget]
    classes: Sequence[str]

    def take(self, rows: Sequence[int]) -> list[tuple[Any, Truth]]:
        """The pixels, uint8 [rows, columns, 3], and boxes of those of some rows that can be decoded."""
        opened = zip(rows, self.shelf.take(rows), strict=True)
        return [
            (image.pixels, truth_of(self.targets[row], self.classes, image.height, image.width))
            for row, image in opened
            if image is not None
        ]


class Detector(torch.nn.Module):
    """A detector that learns with its normalisation held still and without dropout.

    So its losses are the same to be judged by as to learn from, and of batches of any size.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: list[Any], targets: list[dict[str, Any]] | None = None) -> Any:
        """Losses by name of images with targets, in training; what is found in them otherwise."""
        return self.network(images, targets)

    def train(self, mode: bool = True) -> "Detector":
        """Learn, or answer."""
        super().train(mode)
        hold_still(self)
        return self


class DetectionSteps(GradientSteps):
    """A detector, and what it learns from by torchvision's own losses.

    A batch's losses are means over its images or boxes, and a part of a batch counts by the weight of its images; so gradients that
    are accumulated over parts are nearly, but not to the last bit, those of the whole.

    Args:
        model: on its device.
        train: what it learns.
        options: how.
    """

    def __init__(self, model: Detector, train: Drawn, options: TuneOptions) -> None:
        device = next(model.parameters()).device
        # As torchvision trains them: bfloat16 would round the edges of proposals to whole pixels.
        half = torch.float16 if device.type == "cuda" else None
        super().__init__(model, _groups(model.network, options), len(train.targets), options, half)
        self._train = train
        self._shown = Framing(options.augmentation, flip=options.flip)
        self._plain = Framing("none")

    def judge(self, items: Drawn, rows: Sequence[int]) -> Judged:
        """What is found in some rows, by image; right is how much of what people drew is found.

        Found are boxes that a box of the same class overlaps by half, among as many of the most probable as people drew.
        """
        taken = items.take(rows)
        if not taken:
            return Judged.nothing()
        images, targets = self._inputs(taken, self._plain)
        weights = np.array([truth.weight for _, truth in taken])
        with torch.no_grad(), draws_apart():
            # Some detectors draw the places that their loss is of.
            torch.manual_seed(step_seed(self._options.seed, -1 - rows[0]))
            loss = sum(self._model.train()(images, targets).values())
            found = self._model.eval()(images)
        shares = [_found(one, truth, pixels.shape) for one, (pixels, truth) in zip(found, taken, strict=True)]
        return Judged.as_it_is(float(loss) * weights.sum(), weights @ shares, weights.sum())

    def total(self, rows: Ints) -> float:
        """The weight of the images."""
        return float(sum(self._train.targets[int(row)].weight for row in rows))

    def loss(self, rows: list[int]) -> Any:
        """The detector's losses of some images, counting by their weight; None where none of them can be decoded."""
        taken = self._train.take(rows)
        if not taken:
            return None
        losses = self._model(*self._inputs(taken, self._shown))
        return sum(losses.values()) * sum(truth.weight for _, truth in taken)

    def _inputs(self, taken: list[tuple[Any, Truth]], shown: Framing) -> tuple[list[Any], list[dict[str, Any]]]:
        framed = [shown(pixels, truth.corners, truth.columns) for pixels, truth in taken]
        images = [image.to(self._device) for image, _ in framed]
        return images, [{name: one.to(self._device) for name, one in boxes.items()} for _, boxes in framed]


def _groups(network: Any, options: TuneOptions) -> list[dict[str, Any]]:
    """The encoder learns slower than what is new on it."""
    encoder = {id(parameter) for parameter in encoder_of(network).parameters()}
    groups = []
    for group in plain_groups(network, options.head_rate, options.weight_decay):
        known = [parameter for parameter in group["params"] if id(parameter) in encoder]
        new = [parameter for parameter in group["params"] if id(parameter) not in encoder]
        groups += [group | {"params": new}, group | {"params": known, "rate": options.backbone_rate}]
    return groups


def _found(found: dict[str, Any], truth: Truth, shape: tuple[int, ...]) -> float:
    """The share of the boxes drawn in an image that is found, in [0, 1]; of none, whether nothing is found."""
    boxes, scores, labels = (found[name].cpu().numpy() for name in ("boxes", "scores", "labels"))
    count = truth.columns.size
    if not count:
        return float((scores < FOUND).all())
    rows, columns, _ = shape
    corners: Floats = boxes[:count] / (columns, rows, columns, rows)
    return float(hits(Candidates(corners, labels[:count] - 1, scores[:count]), truth).sum() / count)
