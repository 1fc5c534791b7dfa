"""Images with their areas, as a network learns from them: squashed, and turned, shifted and coloured a little otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.maps import SIDE, squash
from labelloop.learning.masks.areas import working_size
from labelloop.learning.tuning.media import View
from labelloop.learning.tuning.shelves import Shelf
from labelloop.records import MasksTarget
from labelloop.records.masks import union

# Sides of the square that is looked at, in pixels, and what they are a multiple of.
LEAST: Final = 128
STEP: Final = 32


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a view may be from the image: factors of its size, radians, and factors of its colours."""

    zoom: float
    shape: float
    turn: float
    colour: float


REACHES: Final[dict[View, Reach]] = {
    "weak": Reach(zoom=1.4, shape=1.1, turn=0.17, colour=1.2),
    "strong": Reach(zoom=1.8, shape=1.25, turn=0.5, colour=1.5),
}


@dataclass(frozen=True, slots=True)
class Marked:
    """Images with areas.

    Attributes:
        shelf: of pixels uint8 [3, side, side] and how much of each cell of two pixels a side is of each class, uint8 [classes,
            side / 2, side / 2], 255 being all of it; the learner tells places apart as finely.
        targets: what people marked.
        weights: float64 [n].
    """

    shelf: Shelf
    targets: Sequence[MasksTarget]
    weights: Floats

    @classmethod
    def of(cls, items: Sequence[Any], targets: Sequence[MasksTarget], classes: Sequence[str], side: int) -> "Marked":
        """Encoded images and what people marked in them, to be looked at as squares of that side."""
        shelf = Shelf(_Pairs(items, targets), lambda pair: _opened(pair[0], pair[1], classes, side))
        return cls(shelf, targets, np.array([target.weight for target in targets], dtype=np.float64))


class _Pairs(Sequence[Any]):
    """Items with their targets, read when they are asked for."""

    def __init__(self, items: Sequence[Any], targets: Sequence[MasksTarget]) -> None:
        self._items = items
        self._targets = targets

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, place: Any) -> Any:
        return self._items[place], self._targets[place]


def side_for(items: Sequence[Any]) -> int:
    """Pixels a side at which images are looked at: twice what they have, so that each of theirs is told apart, but no more than
    the quick learner looks at; small images are learnt from the sooner.
    """
    most = 0
    for item in items:
        image = squash(item, STEP) if most < SIDE else None
        if image is not None:
            most = max(most, 2 * image.height, 2 * image.width)
    return min(SIDE, max(LEAST, -(-most // STEP) * STEP))


def otherwise(
    images: torch.Tensor, areas: torch.Tensor, reach: Reach, *, flip: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each image seen a little otherwise, and its areas with it; beyond the edges lies their mirror image.

    Args:
        images: float [n, 3, side, side] in [0, 1].
        areas: float [n, classes, cells, cells].
        reach: how far.
        flip: they may be mirrored.

    Returns:
        The same shapes. All draws come from torch's global generator, on the processor.
    """
    where = _places(len(images), reach, flip=flip).to(images.device)
    both = (
        functional.grid_sample(
            values,
            functional.affine_grid(where, list(values.shape), align_corners=False),
            padding_mode="reflection",
            align_corners=False,
        )
        for values in (images, areas)
    )
    images, areas = both
    return _coloured(images, reach.colour), areas


def _places(count: int, reach: Reach, *, flip: bool) -> torch.Tensor:
    """From places in a view to those in the image, [count, 2, 3] in shares of half of its side from its middle."""
    zoom, shape = (torch.exp(_even(count) * np.log(most)) for most in (reach.zoom, reach.shape))
    turn = _even(count) * reach.turn
    across, down = 1 / (zoom * shape), shape / zoom
    mirrored = torch.where(torch.rand(count) < 0.5, -1.0, 1.0) if flip else torch.ones(count)
    # A view that shows less than the image may lie anywhere in it, one that shows more may hold it anywhere.
    right, low = _even(count) * (1 - across).abs(), _even(count) * (1 - down).abs()
    first = torch.stack([mirrored * across * turn.cos(), -down * turn.sin(), right], dim=1)
    second = torch.stack([mirrored * across * turn.sin(), down * turn.cos(), low], dim=1)
    return torch.stack([first, second], dim=1)


def _coloured(images: torch.Tensor, most: float) -> torch.Tensor:
    """Brightness, contrast and saturation, each by a factor up to `most` or down to 1 / most."""
    bright, contrast, saturated = (
        torch.exp(_even(len(images)) * np.log(most)).view(-1, 1, 1, 1).to(images.device) for _ in range(3)
    )
    images = images * bright
    middle = images.mean(dim=(1, 2, 3), keepdim=True)
    images = middle + (images - middle) * contrast
    grey = images.mean(dim=1, keepdim=True)
    return (grey + (images - grey) * saturated).clamp(0, 1)


def _even(count: int) -> torch.Tensor:
    """Even draws from [-1, 1)."""
    return torch.rand(count) * 2 - 1


def _opened(item: Any, target: MasksTarget, classes: Sequence[str], side: int) -> tuple[Any, int] | None:
    image = squash(item, side)
    if image is None:
        return None
    size = working_size(image.height, image.width)
    areas = np.stack(
        [_shares(union([mask for mask in target.masks if mask.label == label], *size), side // 2) for label in classes]
    )
    pixels = torch.from_numpy(np.ascontiguousarray(image.pixels.transpose(2, 0, 1)))
    return (pixels, torch.from_numpy(areas)), image.pixels.nbytes + areas.nbytes


def _shares(inside: Any, cells: int) -> Any:
    whole = Image.fromarray(inside.astype(np.uint8) * 255)
    return np.asarray(whole.resize((cells, cells), Image.Resampling.BOX))
