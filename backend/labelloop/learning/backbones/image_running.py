"""Images through a network that tells of their parts: opened, in batches that fit its memory, broken ones passed over."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.base import OnProgress
from labelloop.learning.backbones.dense import EMPTY, Dense
from labelloop.learning.backbones.maps import Squashed
from labelloop.learning.backbones.torch_running import run_in_batches

DECODERS: Final = 4

Open = Callable[[Any], Squashed | None]
"""An encoded image as the network is shown it; None when it cannot be decoded."""
Look = Callable[[list[Any], list[Squashed]], tuple[Floats, list[Dense]]]
"""Rows float32 [n, dim] and dense features of n encoded images, which are given opened, too."""


def embed_images(
    items: Sequence[Any], opened: Open, look: Look, dim: int, batch: int, on_progress: OnProgress | None
) -> tuple[Floats, list[Dense]]:
    """Rows float32 [n, dim] and dense features of n encoded images; a row of NaN and empty ones for what cannot be decoded.

    Args:
        items: encoded images.
        opened: opens one.
        look: gives the rows and dense features of some.
        dim: length of a row.
        batch: images at once, less where the device has too little memory.
        on_progress: told how many are done, after each batch.

    Raises:
        LearningError: the device has too little memory for one image.
    """
    rows = np.full((len(items), dim), np.nan, dtype=np.float32)
    parts = [EMPTY] * len(items)
    with ThreadPoolExecutor(DECODERS) as decoders:

        def run(start: int, stop: int) -> None:
            read = decoders.map(opened, items[start:stop])
            images = {start + place: image for place, image in enumerate(read) if image}
            if images:
                rows[list(images)], found = look([items[place] for place in images], list(images.values()))
                for place, dense in zip(images, found, strict=True):
                    parts[place] = dense
            if on_progress is not None:
                on_progress(stop)

        run_in_batches(len(items), batch, run)
    return rows, parts


def to_batch(images: Sequence[Squashed], mean: Floats, std: Floats, device: Any) -> Any:
    """A network's input, float32 [n, 3, rows, columns], of n images of one size.

    Args:
        images: their pixels are in [0, 255].
        mean: of each colour on that scale; it is taken off.
        std: what is left is divided by.
        device: where the network is.
    """
    import torch

    pixels = (np.stack([image.pixels for image in images]) - mean) / std
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).to(device, memory_format=torch.channels_last)
