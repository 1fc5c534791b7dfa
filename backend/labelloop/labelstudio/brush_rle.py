"""Label Studio's run lengths of a brush: a stream of bits that holds the image's RGBA values, of which the last says what is inside.

A header of 53 bits says how many values there are (32), how many bits each has less one (5) and how many bits each of four
kinds of lengths has less one (four times 4). Then come pieces: a bit that is 1 where one value is repeated and 0 where each is
written out, two bits for the kind of length, the length less one, and the value or values.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labelloop.records import Mask

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


def decode_area(stream: object, height: int, width: int) -> Mask | None:
    """What is inside, as a mask of no class: pixels at least half as opaque as the most opaque one.

    A brush's edge fades out, and files made elsewhere are opaque by 1 or by 100 instead of 255.

    Returns:
        None when it is no stream, or of an image of another size.
    """
    if not 0 < height * width <= MOST_PIXELS or not isinstance(stream, list):
        return None
    try:
        opacity, counts = _opacities(bytes(stream), height * width)
    except (TypeError, ValueError):
        return None
    inside = np.concatenate([[False], opacity >= max(opacity.max() / 2, 1), [False]])
    edges = np.concatenate([[0], np.cumsum(counts)])[np.flatnonzero(inside[1:] != inside[:-1])]
    return Mask("", height, width, tuple(np.diff(edges, prepend=0, append=height * width).tolist()))


def _length(length: int) -> str:
    kind = next(number for number, bits in enumerate(_KINDS) if length <= 1 << bits)
    return f"{kind:02b}{length - 1:0{_KINDS[kind]}b}"


def _opacities(stream: bytes, pixels: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The opacities that a stream of so many pixels holds one after the other, and how many pixels have each: [n], [n].

    Nothing is as large as the image, since a photograph of which a corner is brushed is read at every round.

    Raises:
        ValueError: it ends too early, or its header is another one.
    """
    bits = f"{int.from_bytes(stream, 'big'):0{8 * len(stream)}b}"
    kinds = [int(bits[start : start + 4], 2) + 1 for start in range(37, 53, 4)]
    wanted = _CHANNELS * pixels
    if int(bits[:32], 2) != wanted or int(bits[32:37], 2) != _BITS - 1:
        raise ValueError("another size")
    found, counts, done, at = bytearray(), list[int](), 0, 53
    while done < wanted:
        repeated, kind = bits[at] == "1" if at < len(bits) else False, kinds[int(bits[at + 1 : at + 3], 2)]
        count = int(bits[at + 3 : at + 3 + kind], 2) + 1
        at += 3 + kind
        written = 1 if repeated else count
        piece = bits[at : at + _BITS * written]
        if len(piece) < _BITS * written:
            raise ValueError("too short")
        at += _BITS * written
        values, count = int(piece, 2).to_bytes(written, "big"), min(count, wanted - done)
        if not repeated:
            values = values[_CHANNELS - 1 - done % _CHANNELS : count : _CHANNELS]
        reached = (done + count) // _CHANNELS - done // _CHANNELS
        found += values
        counts += [reached] if repeated else [1] * reached
        done += count
    opacity, lengths = np.frombuffer(found, dtype=np.uint8), np.array(counts, dtype=np.int64)
    return opacity[lengths > 0], lengths[lengths > 0]
