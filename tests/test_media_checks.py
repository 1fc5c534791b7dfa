"""Only whole images of known formats and bearable size pass."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from labelloop.errors import MediaBroken
from labelloop.labelstudio.images import FORMATS, check_image

LIMIT = 1_000_000


def image(kind: str, size: tuple[int, int] = (80, 60), mode: str = "RGB") -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(out, kind)
    return out.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_whole_image_passes(kind: str) -> None:
    check_image(image(kind), LIMIT)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_of_colour_passes(mode: str) -> None:
    check_image(image("TIFF" if mode == "CMYK" else "PNG", mode=mode), LIMIT)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_image_is_broken(kind: str, share: float) -> None:
    whole = image(kind)
    with pytest.raises(MediaBroken, match=r"cut short|not an image"):
        check_image(whole[: int(len(whole) * share)], LIMIT)


def test_a_damaged_png_is_broken() -> None:
    data = bytearray(image("PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(MediaBroken, match="damaged"):
        check_image(bytes(data), LIMIT)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>log in</html>",
        b"%PDF-1.7",
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b"P6\n1 1\n255\n\0\0\0",
        b"\xff\xd8",
    ],
)
def test_what_is_no_image_is_named_so(data: bytes) -> None:
    with pytest.raises(MediaBroken, match=r"not an image of a known format|cut short"):
        check_image(data, LIMIT)


@pytest.mark.parametrize(("width", "height"), [(1001, 1000), (1500, 1000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_more_pixels_than_allowed_are_refused_before_they_are_decoded(width: int, height: int) -> None:
    with pytest.raises(MediaBroken, match="LABELLOOP_MEDIA_MAX_PIXELS"):
        check_image(png_that_claims(width, height), LIMIT)


def test_as_many_pixels_as_allowed_pass() -> None:
    check_image(image("JPEG", (1000, 1000)), LIMIT)
