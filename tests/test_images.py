"""Whatever an image file holds becomes upright, opaque RGB."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labelloop.learning.images import decode_image

LEFT_RED = Image.fromarray(
    np.repeat(np.array([[[255, 0, 0], [0, 0, 255]]], dtype=np.uint8), 8, axis=1).repeat(8, axis=0)
)


def _encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _decoded(data: bytes) -> np.ndarray:
    image = decode_image(data)
    assert image is not None
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
def test_format_is_read(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    pixels = _decoded(_encoded(LEFT_RED, kind, **options))

    assert abs(pixels[4, 2] - [255, 0, 0]).max() < 10
    assert abs(pixels[4, 13] - [0, 0, 255]).max() < 10


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"])
def test_mode_becomes_rgb(mode: str) -> None:
    values = np.tile(np.linspace(0, 255, 16), (8, 1)).astype(np.uint8)
    image = Image.fromarray(values)
    image = Image.fromarray(values.astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    pixels = _decoded(_encoded(image, "TIFF"))

    assert pixels.shape == (8, 16, 3)
    assert pixels[:, 0].mean() < 40
    assert pixels[:, -1].mean() > 215


@pytest.mark.parametrize("scale", [1, 16, 257])
def test_deep_grey_uses_the_whole_range(scale: int) -> None:
    """12-bit values in a 16-bit file would otherwise look black."""
    values = np.tile(np.arange(256, dtype=np.uint16), (4, 1)) * scale
    pixels = _decoded(_encoded(Image.fromarray(values)))

    assert (pixels[0, :, 0] == np.arange(256)).all()


def test_even_deep_grey_and_values_that_are_not_finite_are_read() -> None:
    values = np.full((4, 4), 7.5, dtype=np.float32)
    assert (_decoded(_encoded(Image.fromarray(values), "TIFF")) == 0).all()
    values[0, 0], values[1, 1] = np.nan, 9.0
    pixels = _decoded(_encoded(Image.fromarray(values), "TIFF"))
    assert (pixels[0, 0], pixels[1, 1]) == pytest.approx((0, 255)) or (pixels[0, 0].max(), pixels[1, 1].min()) == (
        0,
        255,
    )


def test_transparent_is_over_white() -> None:
    rgba = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert (_decoded(_encoded(rgba)) == 255).all()
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0] * 256)
    assert (_decoded(_encoded(palette, transparency=0)) == 255).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation_is_applied(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    pixels = _decoded(_encoded(LEFT_RED, kind, exif=exif))

    assert abs(pixels[4, 13] - [255, 0, 0]).max() < 40


def test_first_frame_of_several() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    pixels = _decoded(_encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))

    assert (pixels == [255, 0, 0]).all()


def test_large_jpeg_is_decoded_no_smaller_than_asked() -> None:
    image = decode_image(_encoded(Image.new("RGB", (1600, 800), "red"), "JPEG"), shorter_side=150)

    assert image is not None
    assert image.size == (400, 200)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an image",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
        _encoded(LEFT_RED)[:60],
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
    ids=["empty", "text", "PNG of nothing", "cut short", "SVG"],
)
def test_what_cannot_be_decoded_is_none(data: bytes) -> None:
    assert decode_image(data) is None
