"""Images in the formats that Pillow reads."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final

import numpy as np
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT

from labelloop.learning.arrays import Floats

_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
# How a TIFF says that its zero is white, and that its samples have no sign.
_WHITE_IS_ZERO: Final = 0
_UNSIGNED: Final = 1


def decode_picture(data: bytes, shorter_side: int | None) -> Image.Image:
    """An upright RGB image; raises whatever Pillow raises where there is none. Arguments as of `decode_image`."""
    with Image.open(BytesIO(data)) as image:
        if shorter_side is not None:
            image.draft("RGB", (shorter_side, shorter_side))
        # A turned copy no longer knows what the TIFF said.
        return _to_rgb(ImageOps.exif_transpose(image), getattr(image, "tag_v2", {}))


def _to_rgb(image: Image.Image, tags: Mapping[int, Any]) -> Image.Image:
    if image.mode in _DEEP:
        return _stretched(_deep_values(image, tags))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _deep_values(image: Image.Image, tags: Mapping[int, Any]) -> Floats:
    """Grey values of any depth, larger being brighter."""
    stored = np.asarray(image)
    if stored.dtype == np.int32 and tags.get(SAMPLEFORMAT, (2,)) == (_UNSIGNED,):
        stored = stored.view(np.uint32)  # Pillow has no such mode, and lets large values turn negative
    values: Floats = stored.astype(np.float64)
    return -values if tags.get(PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO else values


def _stretched(values: Floats) -> Image.Image:
    """Grey values of any range as RGB; an even image becomes black, a value that is not finite too."""
    values = np.where(np.isfinite(values), values, values[np.isfinite(values)].min(initial=np.inf))
    darkest = values.min()
    scaled = (values - darkest) * (255 / (float(values.max() - darkest) or 1.0))
    return Image.fromarray(np.rint(scaled).astype(np.uint8)).convert("RGB")
