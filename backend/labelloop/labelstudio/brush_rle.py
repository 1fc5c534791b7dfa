"""Label Studio's run lengths of a brush: a stream of bits that holds the image's RGBA values, of which the last says what is inside.

A header of 53 bits says how many values there are (32), how many bits each has less one (5) and how many bits each of four
kinds of lengths has less one (four times 4). Then come pieces: a bit that is 1 where one value is repeated and 0 where each is
written out, two bits for the kind of length, the length less one, and the value or values.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

# An image of more pixels than this is no photograph, and reading it would take gigabytes.
MOST_PIXELS: Final = 1 << 27
_CHANNELS: Final = 4
_BITS: Final = 8
_KINDS: Final = (3, 4, 8, 16)
_LONGEST: Final = 1 << _KINDS[-1]


def encode_runs(runs: Sequence[int]) -> list[int]:
    """The stream, as bytes, of runs of pixels outside and inside by turns, beginning outside."""
    bits = [f"{_CHANNELS * sum(runs):032b}{_BITS - 1:05b}", *(f"{kind - 1:04b}" for kind in _KINDS)]
    for turn, run in enumerate(runs):
        value = f"{255 * (turn % 2):08b}"
        left = _CHANNELS * run
        while left:
            length = min(left, _LONGEST)
            bits.append(f"1{_length(length)}{value}")
            left -= length
    stream = "".join(bits)
    stream += "0" * (-len(stream) % 8)
    return list(int(stream, 2).to_bytes(len(stream) // 8, "big"))


def decode_inside(stream: object, height: int, width: int) -> NDArray[np.bool_] | None:
    """What is inside, bool [height, width]: pixels at least half as opaque as the most opaque one.

    A brush's edge fades out, and files made elsewhere are opaque by 1 or by 100 instead of 255.

    Returns:
        None when it is no stream, or of an image of another size.
    """
    if not 0 < height * width <= MOST_PIXELS or not isinstance(stream, list):
        return None
    try:
        values = _values(bytes(stream), _CHANNELS * height * width)
    except (TypeError, ValueError):
        return None
    opacity = np.frombuffer(values, dtype=np.uint8)[_CHANNELS - 1 :: _CHANNELS].reshape(height, width)
    inside: NDArray[np.bool_] = opacity >= max(opacity.max() / 2, 1)
    return inside


def _length(length: int) -> str:
    kind = next(number for number, bits in enumerate(_KINDS) if length <= 1 << bits)
    return f"{kind:02b}{length - 1:0{_KINDS[kind]}b}"


def _values(stream: bytes, wanted: int) -> bytearray:
    """The values of a stream.

    Raises:
        ValueError: it ends too early, or its header is another one.
    """
    bits = f"{int.from_bytes(stream, 'big'):0{8 * len(stream)}b}"
    kinds = [int(bits[start : start + 4], 2) + 1 for start in range(37, 53, 4)]
    if int(bits[:32], 2) != wanted or int(bits[32:37], 2) != _BITS - 1:
        raise ValueError("another size")
    values, at = bytearray(), 53
    while len(values) < wanted:
        repeated, kind = bits[at] == "1" if at < len(bits) else False, kinds[int(bits[at + 1 : at + 3], 2)]
        count = int(bits[at + 3 : at + 3 + kind], 2) + 1
        at += 3 + kind
        written = 1 if repeated else count
        piece = bits[at : at + _BITS * written]
        if len(piece) < _BITS * written:
            raise ValueError("too short")
        values += int(piece, 2).to_bytes(written, "big") * (count if repeated else 1)
        at += _BITS * written
    return values[:wanted]
