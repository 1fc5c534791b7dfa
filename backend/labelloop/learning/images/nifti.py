"""Images in NIfTI files: one slice of a volume, the right way up.

- A slice is across one of the patient's axes, `axial` unless it says otherwise, whatever the order the voxels are stored in: the axes
  are taken for those of the patient that they are nearest to. Slices are counted from 0, from the patient's left to right
  (sagittal), back to front (coronal) and feet to head (axial); where none is asked for it is the middle one, the later of two.
- It is shown as radiologists look at it: the patient's right is on the left, the front is up (axial) or on the left (sagittal), the
  head is up.
- Of a series of volumes the first is read. Grey goes from black to white between the header's `cal_min` and `cal_max`, or where it has
  none between the 0.5th and 99.5th percentile of a few slices spread over the volume, so that its slices are shown alike.
- A volume may be larger than the memory for it: what is packed is unpacked into a temporary file, and of the voxels a few planes are
  read at a time.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from io import SEEK_END, BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

import numpy as np
from PIL import Image

from labelloop.errors import LearningError
from labelloop.learning.arrays import Array
from labelloop.learning.images.grey import picture, stretched, usual_range
from labelloop.records.media import AXES, UNPACKED_MOST, NiftiHead, Part, unpacked_pieces

# Slices that the range of grey is taken from.
SAMPLED: Final = 7
# Bytes of a volume that are held in memory at a time.
HELD: Final = 64 * 2**20
# For each axis that is sliced across: which of the patient's axes runs down the picture, and which along it, each reversed from
# the way it is counted.
_DOWN_AND_ALONG: Final = ((2, 1), (2, 0), (1, 0))


def decode_nifti(data: bytes, head: NiftiHead, part: Part) -> Image.Image:
    """One slice of a NIfTI volume.

    Raises:
        LearningError: nibabel is not installed.
        Exception: of any kind, when there is no such slice or it cannot be decoded.
    """
    if find_spec("nibabel") is None:
        raise LearningError("Reading NIfTI files needs nibabel, which is not installed; install labelloop[medical].")
    if head.alone or not head.possible or head.end > UNPACKED_MOST:
        raise ValueError("its voxels are elsewhere, none, or too many")
    with SpooledTemporaryFile(HELD) if head.packed else BytesIO(data) as file:
        for piece in unpacked_pieces(data, head.end) if head.packed else ():
            file.write(piece)
        if file.seek(0, SEEK_END) < head.end:
            raise ValueError("it is cut short")
        file.seek(0)
        return _shown(_Volume(file), part)


def _shown(volume: "_Volume", part: Part) -> Image.Image:
    axis = AXES.index(part.axis or "axial")
    count = volume.length(axis)
    number = count // 2 if part.slice is None else part.slice
    if not 0 <= number < count:
        raise ValueError(f"there is no slice {part.slice} among {count}")
    [values] = volume.slices(axis, [number])
    if values.dtype.names:
        return picture(np.stack([values[name] / 255.0 for name in values.dtype.names[:3]], axis=-1))
    return picture(stretched(_real(values), *volume.range(axis)))


class _Volume:
    """The first volume of a file, its axes those of the patient: left to right, back to front, feet to head.

    Args:
        file: at its start, unpacked at least to the end of that volume.
    """

    def __init__(self, file: IO[bytes]) -> None:
        import nibabel

        second = file.read(4) in (b"\x1c\x02\0\0", b"\0\0\x02\x1c")
        file.seek(0)
        kind: Any = nibabel.Nifti2Image if second else nibabel.Nifti1Image
        image = kind.from_stream(file)
        self._stored = image.dataobj
        self._said = image.header
        self._shape = (*image.shape, 1, 1)[:3]
        self._places, self._turned = _orientation(image.affine)

    def length(self, axis: int) -> int:
        """Slices across an axis."""
        return int(self._shape[self._places[axis]])

    def slices(self, axis: int, numbers: Sequence[int]) -> list[Array]:
        """The voxels [height, width] of some slices, as they are shown."""
        place = self._places[axis]
        stored = [self.length(axis) - 1 - number if self._turned[axis] else number for number in numbers]
        return [self._turned_up(plane, axis) for plane in self._planes(place, stored)]

    def _planes(self, place: int, numbers: Sequence[int]) -> list[Array]:
        """The planes of those numbers across a stored axis, as they are stored.

        Across the last, each is one stretch of the file. Across another its voxels lie all over it, and as many planes across the last
        are read at a time as are held.
        """
        if place == 2:
            return [self._read(number, number + 1)[..., 0] for number in numbers]
        at_once = max(1, HELD // max(1, self._shape[0] * self._shape[1] * 8))
        parts = [
            np.take(self._read(start, min(start + at_once, self._shape[2])), numbers, axis=place)
            for start in range(0, self._shape[2], at_once)
        ]
        return list(np.moveaxis(np.concatenate(parts, axis=2), place, 0))

    def _read(self, start: int, end: int) -> Array:
        """The voxels [shape[0], shape[1], end - start] of the first volume from one plane across the last axis to another."""
        if self._stored.ndim < 3:
            return np.asarray(self._stored).reshape(self._shape)
        found = self._stored[(slice(None), slice(None), slice(start, end), *([0] * (self._stored.ndim - 3)))]
        return np.asarray(found)

    def _turned_up(self, plane: Array, axis: int) -> Array:
        left = [one for one in range(3) if one != self._places[axis]]
        down, along = _DOWN_AND_ALONG[axis]
        if left.index(self._places[down]):
            plane = plane.T
        # Each is shown against the way it is counted: head, front and the patient's right come first.
        plane = plane if self._turned[down] else plane[::-1]
        return plane if self._turned[along] else plane[:, ::-1]

    def range(self, axis: int) -> tuple[float, float]:
        """The values that become black and white."""
        low, high = float(self._said["cal_min"]), float(self._said["cal_max"])
        if np.isfinite([low, high]).all() and high > low:
            return low, high
        numbers = np.unique(np.linspace(0, self.length(axis) - 1, SAMPLED + 2).round().astype(int)[1:-1])
        return usual_range(np.concatenate([_real(one).ravel() for one in self.slices(axis, numbers.tolist())]))


def _orientation(affine: Array) -> tuple[list[int], list[bool]]:
    """For each of the patient's axes the stored one that is nearest, and whether it runs the other way."""
    from nibabel.orientations import io_orientation

    known = bool(np.isfinite(affine).all())
    found: Array = io_orientation(affine) if known else np.full((3, 2), np.nan)  # type: ignore[no-untyped-call]
    if not np.isfinite(found).all():  # a header without directions: as it is stored
        return [0, 1, 2], [False] * 3
    places = [int(np.flatnonzero(found[:, 0] == axis)[0]) for axis in range(3)]
    return places, [bool(found[place, 1] < 0) for place in places]


def _real(values: Array) -> Array:
    """Grey values as float64; of complex ones the magnitude."""
    return np.abs(values).astype(np.float64) if np.iscomplexobj(values) else values.astype(np.float64)
