"""Images in the formats that Pillow reads."""

from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any, Final

import numpy as np
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT

from labelloop.learning.arrays import Floats

# Pixels that are worked on at a time where several copies of them are needed, which of a large image would take gigabytes.
BAND: Final = 1 << 20
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
# How a TIFF says that its zero is white, and that its samples have no sign.
_WHITE_IS_ZERO: Final = 0
_UNSIGNED: Final = 1
# What makes an image upright, by its EXIF orientation.
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_picture(data: bytes, shorter_side: int | None) -> Image.Image:
    """An upright RGB image; raises whatever Pillow raises where there is none. Arguments as of `decode_image`."""
    with Image.open(BytesIO(data)) as image:
        if shorter_side is not None:
            image.draft("RGB", (shorter_side, shorter_side))
        image.load()
        turn = _TURNS.get(orientation(image))
        return _to_rgb(image if turn is None else image.transpose(turn), getattr(image, "tag_v2", {}))


def orientation(image: Image.Image) -> int:
    """Its EXIF orientation, 1 to 8; 1, upright, where the EXIF cannot be read, as browsers have it."""
    # Pillow raises half a dozen kinds of error on what is damaged, while the picture itself is whole.
    try:
        said = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:
        return 1
    return said if said in _TURNS else 1


def _to_rgb(image: Image.Image, tags: Mapping[int, Any]) -> Image.Image:
    if image.mode in _DEEP:
        return _stretched(image, tags)
    return _in_bands(image, _over_white) if image.has_transparency_data else image.convert("RGB")


def _in_bands(image: Image.Image, to_rgb: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """An image as RGB, made so band by band."""
    whole, top = Image.new("RGB", image.size), 0
    for band in _bands(image):
        whole.paste(to_rgb(band), (0, top))
        top += band.height
    return whole


def _bands(image: Image.Image) -> Iterator[Image.Image]:
    rows = max(1, BAND // image.width)
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _over_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _stretched(image: Image.Image, tags: Mapping[int, Any]) -> Image.Image:
    """Grey values of any range as RGB; an even image becomes black, a value that is not finite too."""
    bands = (_deep_values(band, tags) for band in _bands(image))
    ends = [(known.min(), known.max()) for band in bands if (known := band[np.isfinite(band)]).size]
    darkest, brightest = (min(low for low, _ in ends), max(high for _, high in ends)) if ends else (0.0, 0.0)
    scale = 255 / (float(brightest - darkest) or 1.0)

    def to_rgb(band: Image.Image) -> Image.Image:
        values = _deep_values(band, tags)
        scaled = (np.where(np.isfinite(values), values, darkest) - darkest) * scale
        return Image.fromarray(np.rint(scaled).astype(np.uint8)).convert("RGB")

    return _in_bands(image, to_rgb)


def _deep_values(image: Image.Image, tags: Mapping[int, Any]) -> Floats:
    """Grey values of any depth, larger being brighter."""
    stored = np.asarray(image)
    if stored.dtype == np.int32 and tags.get(SAMPLEFORMAT, (2,)) == (_UNSIGNED,):
        stored = stored.view(np.uint32)  # Pillow has no such mode, and lets large values turn negative
    values: Floats = stored.astype(np.float64)
    return -values if tags.get(PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO else values
