"""Medical files among the media: what tells them, how large they are, and which of their many pictures a task means.

The room that fetches media and the one that decodes it must agree on these. Only the standard library is used, so both can ask
before they load what reads the files.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Final, Self
from urllib.parse import parse_qsl

UNPACKED_MOST: Final = 1024**3
"""Bytes that the first volume of a file may take once it is unpacked."""
AXES: Final = ("sagittal", "coronal", "axial")
"""The directions in which a volume can be sliced: across left to right, back to front, and feet to head."""

_GZIP: Final = b"\x1f\x8b"
_MARK: Final = b"labelloop-part:"
_HEAD: Final = 540
# Small, because what follows a member of a gzip file is copied for every member.
_CHUNK: Final = 16 * 1024
_NAMES: Final = ("frame", "slice", "axis")
# Where a header of each size has its magic, dimensions, bits of a voxel and first voxel, and of which types.
_LAYOUTS: Final = {348: (344, (40, "8h"), (72, "h"), (108, "f")), 540: (4, (16, "8q"), (14, "h"), (168, "q"))}
_TOGETHER: Final = (b"n+1\0", b"n+2\0")
_APART: Final = (b"ni1\0", b"ni2\0")


@dataclass(frozen=True, slots=True)
class Part:
    """One picture of a file that holds many.

    Attributes:
        frame: of a DICOM file, counted from 1 as DICOM does; None: the middle one; -1 for what is no number.
        slice: of a NIfTI volume, counted from 0 along the axis as voxels are; None: the middle one; -1 for what is no number.
        axis: across which a volume is sliced, one of `AXES`; empty: axial.
    """

    frame: int | None = None
    slice: int | None = None
    axis: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the likes of `frame=3` and `slice=40&axis=coronal`; other names are ignored."""
        said = dict(parse_qsl(text))
        return cls(_number(said.get("frame")), _number(said.get("slice")), said.get("axis", "").lower())

    def __str__(self) -> str:
        said = [(name, getattr(self, name)) for name in _NAMES]
        return "&".join(f"{name}={value}" for name, value in said if value not in (None, ""))


@dataclass(frozen=True, slots=True)
class NiftiHead:
    """What the header of a NIfTI file claims.

    Attributes:
        shape: voxels along each axis.
        voxel: bytes of one.
        start: byte of the first, once the file is unpacked.
        packed: the file is compressed by gzip.
        alone: the voxels are in another file.
    """

    shape: tuple[int, ...]
    voxel: int
    start: int
    packed: bool
    alone: bool

    @property
    def end(self) -> int:
        """The byte after the first volume."""
        return self.start + prod(self.shape[:3]) * self.voxel

    @property
    def possible(self) -> bool:
        """Whether there can be such a file."""
        return min(self.shape, default=0) > 0 and self.voxel > 0 and self.start >= 0


def names_part(text: str) -> bool:
    """Whether a fragment or query says nothing but which part of a file is meant."""
    return bool(text) and all(pair.partition("=")[0] in _NAMES for pair in text.split("&"))


def marked(data: bytes, part: Part) -> bytes:
    """A file with the part that is meant, as one; features of two parts are told apart by it."""
    return _MARK + str(part).encode() + b"\n" + data


def unmarked(data: bytes) -> tuple[bytes, Part]:
    """The file and the part that `marked` joined; any other file is given back with no part in particular."""
    if not data.startswith(_MARK):
        return data, Part()
    line, _, rest = data.partition(b"\n")
    return rest, Part.parse(line[len(_MARK) :].decode(errors="replace"))


def is_dicom(data: bytes) -> bool:
    """Whether a file says that it is DICOM."""
    return data[128:132] == b"DICM"


def nifti_head(data: bytes) -> NiftiHead | None:
    """What a NIfTI file, compressed or not, says of itself; None for another file."""
    packed = data.startswith(_GZIP)
    head = unpacked(data[: 4 * _CHUNK], _HEAD) if packed else data[:_HEAD]
    for order in "<>":
        size = struct.unpack_from(f"{order}i", head)[0] if len(head) >= 348 else 0
        if size in _LAYOUTS and len(head) >= size:
            return _read_head(head, order, size, packed)
    return None


def unpacked(data: bytes, most: int) -> bytes:
    """The first bytes of what gzip compressed, at most so many; fewer where the file is damaged or ends before."""
    return b"".join(unpacked_pieces(data, most))


def unpacked_pieces(data: bytes, most: int) -> Iterator[bytes]:
    """The same piece by piece, for what is too much to hold.

    A file may have several members, one compressed after the other.
    """
    stream, left = _member(), most
    try:
        for start in range(0, len(data), _CHUNK):
            waiting = data[start : start + _CHUNK]
            while waiting and left > 0:
                if stream.eof:
                    stream = _member()
                piece = stream.decompress(waiting, min(64 * _CHUNK, left))
                left -= len(piece)
                yield piece
                waiting = stream.unused_data or stream.unconsumed_tail
            if left <= 0:
                return
    except zlib.error:
        return


def _member() -> "zlib._Decompress":
    """What unpacks the next member of a gzip file."""
    return zlib.decompressobj(16 + zlib.MAX_WBITS)


def _read_head(head: bytes, order: str, size: int, packed: bool) -> NiftiHead | None:
    at, (dims_at, dims), (bits_at, bits), (start_at, start) = _LAYOUTS[size]
    magic = head[at : at + 4]
    if magic not in _TOGETHER + _APART:
        return None
    count, *lengths = struct.unpack_from(order + dims, head, dims_at)
    first = struct.unpack_from(order + start, head, start_at)[0]
    return NiftiHead(
        shape=tuple(lengths[: max(0, min(count, 7))]),
        voxel=struct.unpack_from(order + bits, head, bits_at)[0] // 8,
        start=int(first) if abs(first) < UNPACKED_MOST else -1,
        packed=packed,
        alone=magic in _APART,
    )


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
