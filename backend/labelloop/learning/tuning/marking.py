"""The steps of fine-tuning a network that tells areas: what it learns from one batch of images."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import torch
from torch.nn import functional

from labelloop.learning.arrays import Ints
from labelloop.learning.backbones.segmented_maps import Described
from labelloop.learning.backbones.segmenters import Segmenter
from labelloop.learning.tuning.gradient_steps import GradientSteps, half_precision
from labelloop.learning.tuning.judged import Judged
from labelloop.learning.tuning.marked import REACHES, Marked, otherwise
from labelloop.learning.tuning.media import VIEWS, View
from labelloop.learning.tuning.model import parameter_groups
from labelloop.learning.tuning.options import TuneOptions

# Cells added to what is compared, so that the Dice coefficient of a small area does not jump.
SMOOTH: Final = 1.0


class MarkingSteps(GradientSteps):
    """A segmenter, and the images that it learns from.

    Each class is told for itself, since areas of several may overlap: by cross-entropy, place by place, and by the soft Dice
    coefficient (Milletari et al., 2016) of each area that there is, which counts a small one as much as a large one.

    Args:
        segmenter: on its device.
        described: what it is.
        train: what it learns.
        options: how.
    """

    def __init__(self, segmenter: Segmenter, described: Described, train: Marked, options: TuneOptions) -> None:
        new = described.grouped == "all"
        rates = replace(options, backbone_rate=options.head_rate, first_layer_share=1.0) if new else options
        groups = parameter_groups(segmenter.encoder, segmenter.decoder, rates)
        device = next(segmenter.parameters()).device
        super().__init__(segmenter, groups, len(train.targets), options, half_precision(device))
        self._train = train
        self._mean, self._std = (
            torch.tensor(said, device=device).view(1, 3, 1, 1) for said in (described.mean, described.std)
        )

    def judge(self, items: Marked, rows: Sequence[int]) -> Judged:
        """What is found in some images; right is the mean Dice coefficient of their areas."""
        images, areas, weights = self._shown(items, rows, "plain")
        if not len(images):
            return Judged.nothing()
        with torch.no_grad(), self._precision():
            logits = self._logits(images)
        loss, right = _losses(logits, areas) * weights, _right(logits > 0, areas >= 0.5) * weights
        return Judged.as_it_is(loss.sum(), right.sum(), weights.sum())

    def total(self, rows: Ints) -> float:
        """The weight of the images."""
        return float(self._train.weights[rows].sum())

    def loss(self, rows: list[int]) -> Any:
        """The weighted loss of some images, summed; None where none of them can be read."""
        images, areas, weights = self._shown(self._train, rows, VIEWS[self._options.augmentation])
        return (_losses(self._logits(images), areas) * weights).sum() if len(images) else None

    def _logits(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [n, classes, side / 2, side / 2]."""
        told = self._model((images - self._mean) / self._std).logits.float()
        size = [pixels // 2 for pixels in images.shape[2:]]
        return told if list(told.shape[2:]) == size else functional.interpolate(told, size=size, mode="bilinear")

    def _shown(self, items: Marked, rows: Sequence[int], view: View) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of the images that can be read: pixels and areas in [0, 1], and weights."""
        read = [(row, one) for row, one in zip(rows, items.shelf.take(rows), strict=True) if one is not None]
        if not read:
            nothing = torch.zeros(0)
            return nothing, nothing, nothing
        images, areas = (
            torch.stack(side).to(self._device).float() / 255 for side in zip(*(x for _, x in read), strict=True)
        )
        if view != "plain":
            images, areas = otherwise(images, areas, REACHES[view], flip=self._options.flip)
        weights = torch.as_tensor(items.weights[[row for row, _ in read]], dtype=torch.float32, device=self._device)
        return images, areas, weights


def _losses(logits: torch.Tensor, areas: torch.Tensor) -> torch.Tensor:
    """The loss of each image [n], of logits and areas [n, classes, rows, columns]; a class that is not there has no Dice."""
    places = functional.binary_cross_entropy_with_logits(logits, areas, reduction="none").mean(dim=(1, 2, 3))
    chance = torch.sigmoid(logits)
    both, all_of_both = (chance * areas).sum(dim=(2, 3)), chance.sum(dim=(2, 3)) + areas.sum(dim=(2, 3))
    there = areas.amax(dim=(2, 3)) > 0
    missed = (1 - (2 * both + SMOOTH) / (all_of_both + SMOOTH)) * there
    return places + missed.sum(dim=1) / there.sum(dim=1).clamp(min=1)


def _right(found: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Of each image [n]: the mean Dice coefficient of the classes there or found, of bools [n, classes, rows, columns]."""
    both, of_each = (
        (found & there).float().sum(dim=(2, 3)),
        found.float().sum(dim=(2, 3)) + there.float().sum(dim=(2, 3)),
    )
    known = of_each > 0
    mean = (2 * both / of_each.clamp(min=1)).sum(dim=1) / known.sum(dim=1).clamp(min=1)
    return torch.where(known.any(dim=1), mean, torch.ones_like(mean))
