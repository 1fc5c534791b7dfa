"""Maps: what a backbone says of the cells of a grid over an image, at several sizes of cells, as `Dense` keeps it.

An image is squashed to a square before it is looked at, so every place in it is a share of its height and width.
`Dense.places` is [height, width of the image as shown, taught, n, n numbers of classes' names, then (channels, rows, columns) of each
level, finest first]. `taught` is 1 where the backbone has learnt from this very image, so that what it says of it is surer than what
it says of others; the names are those of the classes that it tells apart itself, see `Maps.told`. `Dense.values` are the levels
one after the other, each [channels, rows, columns] raveled. The finest level's last 12 channels are the colours of the four
quarters of each cell: edges are where colours change, more exactly than a network says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import numpy as np
from PIL import Image

from labelloop.errors import LearningError
from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.dense import Dense, as_kept
from labelloop.learning.images import decode_image
from labelloop.learning.images.pillow import orientation
from labelloop.records.media import unmarked

# Pixels a side. With mobilenet_v2 an image takes 0.64 MB at 320 and 0.41 MB at 256, about what the image itself takes; at 320
# an object of a thirtieth of the image's width is still nearly three cells wide at the finest stride.
SIDE: Final = 320
STRIDES: Final = (4, 8, 16)
# Channels of a cell's colours: red, green and blue of each quarter.
COLOURS: Final = 12

_HEAD: Final = 4
_JPEG: Final = b"\xff\xd8"
_ON_ITS_SIDE: Final = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class Maps:
    """The maps of one image.

    Attributes:
        height: of the image in pixels, as it is shown.
        width: of the image in pixels, as it is shown.
        levels: float16 [channels, rows, columns] each, finest first.
        taught: the backbone has learnt from this image.
        told: the numbers of the names (`names.name_number`) of k classes that the backbone tells apart itself. Where there is
            one level, the 4k channels before the colours are its logits of each class in each quarter; where there are more, the
            last level's last k channels are its logits of each class. Empty: it tells of none.
    """

    height: int
    width: int
    levels: tuple[Floats, ...]
    taught: bool = False
    told: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Squashed:
    """An image as it is looked at.

    Attributes:
        height: of the image in pixels, as it is shown.
        width: of the image in pixels, as it is shown.
        pixels: uint8 [side, side, 3], RGB.
    """

    height: int
    width: int
    pixels: Any


def pack(height: int, width: int, levels: Sequence[Floats], *, taught: bool = False, told: Sequence[int] = ()) -> Dense:
    """Maps of an image of that size, of levels [channels, rows, columns], finest first; what is not finite becomes 0.

    The rest is as in `Maps`.
    """
    flat = [as_kept(np.nan_to_num(level)) for level in levels]
    places = [height, width, int(taught), len(told), *told, *(size for level in levels for size in level.shape)]
    return Dense(np.concatenate(flat), np.array(places, dtype=np.int32))


def unpack(dense: Dense) -> Maps:
    """What `pack` packed; the levels are views.

    Raises:
        LearningError: it is of an image that could not be decoded, or are no maps.
    """
    places = dense.places.tolist()
    height, width, taught, count = places[:_HEAD] if len(places) >= _HEAD else [0] * _HEAD
    told = places[_HEAD : _HEAD + count]
    shapes = [tuple(places[start : start + 3]) for start in range(_HEAD + count, len(places), 3)]
    sizes = [int(np.prod(shape)) for shape in shapes]
    if not shapes or len(shapes[-1]) != 3 or sum(sizes) != dense.values.size:
        raise LearningError("These are no maps of an image; leave out what could not be decoded.")
    ends = np.cumsum(sizes).tolist()
    levels = (dense.values[end - size : end].reshape(s) for end, size, s in zip(ends, sizes, shapes, strict=True))
    return Maps(height, width, tuple(levels), bool(taught), tuple(told))


def squash(data: bytes, side: int = SIDE) -> Squashed | None:
    """An encoded image, upright and squashed to a square of that side; None when it cannot be decoded."""
    image = decode_image(data, shorter_side=side)
    if image is None:
        return None
    height, width = shown_size(data, image)
    pixels = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0))
    return Squashed(height, width, pixels)


def quarters(image: Squashed, rows: int, columns: int) -> Floats:
    """The colours of the quarters of a grid's cells, float32 [12, rows, columns] in [0, 1]: by colour, then row, then column."""
    halves = Image.fromarray(image.pixels).resize((2 * columns, 2 * rows), Image.Resampling.BOX)
    cells = np.asarray(halves, dtype=np.float32).reshape(rows, 2, columns, 2, 3) / 255
    return cells.transpose(4, 1, 3, 0, 2).reshape(COLOURS, rows, columns)


def shown_size(data: bytes, image: Image.Image) -> tuple[int, int]:
    """Height and width of an encoded image as it is shown, given what `decode_image` made of it."""
    file, _ = unmarked(data)
    # A large JPEG is decoded at a scale of its own, and nothing else is; Pillow could not open every other file.
    if not file.startswith(_JPEG):
        return image.height, image.width
    with Image.open(BytesIO(file)) as whole:
        return whole.size if orientation(whole) in _ON_ITS_SIDE else whole.size[::-1]
