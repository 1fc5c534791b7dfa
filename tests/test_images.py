"""Whatever an image file holds becomes upright, opaque RGB."""

import struct
import tracemalloc
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labelloop.learning.backbones.maps import shown_size
from labelloop.learning.images import decode_image, pillow

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


def test_an_image_without_a_finite_value_is_black() -> None:
    assert (_decoded(_encoded(Image.fromarray(np.full((4, 4), np.nan, dtype=np.float32)), "TIFF")) == 0).all()


def test_transparent_is_over_white() -> None:
    rgba = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert (_decoded(_encoded(rgba)) == 255).all()
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0] * 256)
    assert (_decoded(_encoded(palette, transparency=0)) == 255).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    pixels = _decoded(_encoded(LEFT_RED, kind, exif=exif))

    assert abs(pixels[4, 13] - [255, 0, 0]).max() < 40


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_every_orientation_is_made_upright(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    upright = np.zeros((24, 40, 3), dtype=np.uint8)
    upright[:8, :8], upright[16:, 32:] = (255, 0, 0), (0, 255, 0)
    # What each orientation's upright image looks like as it is stored.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }
    for number, pixels in stored.items():
        exif = Image.Exif()
        exif[0x0112] = number
        found = _decoded(_encoded(Image.fromarray(np.ascontiguousarray(pixels)), kind, exif=exif, **options))

        assert found.shape == upright.shape
        assert abs(found[4, 4] - [255, 0, 0]).max() < 10
        assert abs(found[20, 36] - [0, 255, 0]).max() < 10


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("damage", ["cut off", "no EXIF", "text as a height"])
def test_a_damaged_exif_does_not_hide_the_image(kind: str, damage: str) -> None:
    """Cameras and editors write much that is wrong there; browsers show the picture all the same."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    written = exif.tobytes()
    said = {
        "cut off": written[:12],
        "no EXIF": b"Exif\0\0" + b"something else",
        # What is so read cannot be written again, as Pillow does when it turns an image.
        "text as a height": written.replace(b"\x01\x0f", b"\x01\x01"),
    }[damage]
    data = _encoded(LEFT_RED.resize((24, 16)), kind, exif=said)
    image = decode_image(data)

    assert image is not None
    readable = damage == "text as a height"
    assert image.size == ((16, 24) if readable else (24, 16))
    assert shown_size(data, image) == image.size[::-1]


def _tiff(samples: np.ndarray, *, photometric: int, sample_format: int = 1) -> bytes:
    """An uncompressed TIFF of [height, width, bands] as scanners and cameras write it, and Pillow does not."""
    height, width, bands = samples.shape
    bits = samples.dtype.itemsize * 8
    short, long = 3, 4
    tags = [
        (256, short, [width]),
        (257, short, [height]),
        (258, short, [bits] * bands),
        (259, short, [1]),
        (262, short, [photometric]),
        (273, long, [0]),
        (277, short, [bands]),
        (278, short, [height]),
        (279, long, [samples.nbytes]),
        (339, short, [sample_format] * bands),
    ]
    packed = [struct.pack(f"<{len(values)}{'H' if kind == short else 'I'}", *values) for _, kind, values in tags]
    start = 8 + 2 + 12 * len(tags) + 4
    data_at = start + sum(len(value) for value in packed if len(value) > 4)
    entries, beyond = b"", b""
    for (tag, kind, values), value in zip(tags, packed, strict=True):
        if tag == 273:
            value = struct.pack("<I", data_at)
        elif len(value) > 4:
            beyond, value = beyond + value, struct.pack("<I", start + len(beyond))
        entries += struct.pack("<HHI", tag, kind, len(values)) + value.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return head + entries + bytes(4) + beyond + samples.astype(samples.dtype.newbyteorder("<")).tobytes()


@pytest.mark.parametrize(
    ("kind", "scale", "sample_format", "photometric"),
    [
        ("u2", 257, 1, 1),
        ("u2", 257, 1, 0),
        ("i2", 100, 2, 1),
        ("u4", 2**24, 1, 1),
        ("i4", 2**22, 2, 1),
        ("f4", 1, 3, 1),
        ("f4", 1, 3, 0),
    ],
)
def test_deep_tiff_has_its_values_in_order(kind: str, scale: int, sample_format: int, photometric: int) -> None:
    values = np.tile(np.arange(256), (2, 1))
    samples = (values * scale).astype(kind)[..., None]
    pixels = _decoded(_tiff(samples, photometric=photometric, sample_format=sample_format))[0, :, 0]

    assert (pixels == (values[0] if photometric else 255 - values[0])).all()


def test_colours_of_16_bits_keep_their_upper_half() -> None:
    samples = np.full((4, 4, 3), (65535, 257 * 100, 0), dtype=np.uint16)

    assert (_decoded(_tiff(samples, photometric=2)) == [255, 100, 0]).all()


def test_inks_become_colours() -> None:
    red = Image.new("RGB", (8, 8), (250, 10, 10))

    assert abs(_decoded(_encoded(red.convert("CMYK"), "JPEG", quality=95)) - [250, 10, 10]).max() < 6
    assert (_decoded(_tiff(np.full((4, 4, 4), (0, 255, 255, 0), dtype=np.uint8), photometric=5)) == [255, 0, 0]).all()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_half_transparent_lets_half_of_the_white_through(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = _decoded(_encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 128)), kind, **options))

    assert abs(pixels - 127).max() <= 1


@pytest.mark.parametrize("mode", ["I;16", "I", "F", "RGBA", "LA", "P"])
def test_bands_are_put_together_without_a_seam(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).integers(0, 255, (13, 17))
    grey = Image.fromarray(values.astype(np.uint16) * 200 if mode == "I;16" else values.astype(np.uint8))
    options = {"transparency": 7} if mode == "P" else {}
    data = _encoded(grey if mode == "I;16" else grey.convert(mode), "TIFF" if mode in "IF" else "PNG", **options)
    whole = _decoded(data)
    monkeypatch.setattr(pillow, "BAND", 40)

    assert (_decoded(data) == whole).all()


def test_large_deep_images_take_no_more_memory_than_their_pixels() -> None:
    """As numbers of 64 bits, several times over, an image of 50 megapixels took 1.4 GB, and four are decoded at once."""
    data = _encoded(Image.fromarray(np.tile(np.arange(2000, dtype=np.uint16), (2000, 1))))
    tracemalloc.start()
    decode_image(data)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 64 * 2**20


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
