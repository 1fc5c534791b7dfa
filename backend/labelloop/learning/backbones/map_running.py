"""Images through a network that gives maps: squashed, in batches that fit its memory, broken ones passed over."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.base import OnProgress
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.backbones.maps import SIDE, Squashed, squash
from labelloop.learning.backbones.plain_maps import EMPTY
from labelloop.learning.backbones.torch_running import run_in_batches

DECODERS: Final = 4

Look = Callable[[list[Any], list[Squashed]], tuple[Floats, list[Dense]]]
"""Rows float32 [n, dim] and maps of n encoded images, which are given squashed, too."""


def embed_squashed(
    items: Sequence[Any], look: Look, dim: int, batch: int, on_progress: OnProgress | None, side: int = SIDE
) -> tuple[Floats, list[Dense]]:
    """Rows float32 [n, dim] and maps of n encoded images; a row of NaN and empty maps for one that cannot be decoded.

    Args:
        items: encoded images.
        look: gives the rows and maps of some.
        dim: length of a row.
        batch: images at once, less where the device has too little memory.
        on_progress: told how many are done, after each batch.
        side: of the square that they are squashed to.

    Raises:
        LearningError: the device has too little memory for one image.
    """
    rows = np.full((len(items), dim), np.nan, dtype=np.float32)
    maps = [EMPTY] * len(items)
    with ThreadPoolExecutor(DECODERS) as decoders:

        def run(start: int, stop: int) -> None:
            read = decoders.map(lambda item: squash(item, side), items[start:stop])
            images = {start + place: image for place, image in enumerate(read) if image}
            if images:
                rows[list(images)], found = look([items[place] for place in images], list(images.values()))
                for place, dense in zip(images, found, strict=True):
                    maps[place] = dense
            if on_progress is not None:
                on_progress(stop)

        run_in_batches(len(items), batch, run)
    return rows, maps
