"""Images in NIfTI files: one slice of a volume, the right way up.

- A slice is across one of the patient's axes, `axial` unless it says otherwise, whatever the order the voxels are stored in: the axes
  are taken for those of the patient that they are nearest to. Slices are counted from 0, from the patient's left to right
  (sagittal), back to front (coronal) and feet to head (axial); where none is asked for it is the middle one, the later of two.
- It is shown as radiologists look at it: the patient's right is on the left, the front is up (axial) or on the left (sagittal), the
  head is up.
- Of a series of volumes the first is read. Grey goes from black to white between the header's `cal_min` and `cal_max`, or where it has
  none between the 0.5th and 99.5th percentile of a few slices spread over the volume, so that its slices are shown alike.
"""

from importlib.util import find_spec
from io import BytesIO
from typing import Any, Final

import numpy as np
from PIL import Image

from labelloop.errors import LearningError
from labelloop.learning.arrays import Array
from labelloop.learning.images.grey import picture, stretched, usual_range
from labelloop.records.media import AXES, UNPACKED_MOST, NiftiHead, Part, unpacked

# Slices that the range of grey is taken from.
SAMPLED: Final = 7
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
    whole = unpacked(data, head.end) if head.packed else data
    if len(whole) < head.end:
        raise ValueError("it is cut short")
    volume = _Volume(whole)
    axis = AXES.index(part.axis or "axial")
    count = volume.length(axis)
    number = count // 2 if part.slice is None else part.slice
    if not 0 <= number < count:
        raise ValueError(f"there is no slice {part.slice} among {count}")
    values = volume.slice(axis, number)
    if values.dtype.names:
        return picture(np.stack([values[name] / 255.0 for name in values.dtype.names[:3]], axis=-1))
    return picture(stretched(_real(values), *volume.range(axis)))


class _Volume:
    """The first volume of a file, its axes those of the patient: left to right, back to front, feet to head.

    Args:
        data: the file, unpacked at least to the end of that volume.
    """

    def __init__(self, data: bytes) -> None:
        import nibabel

        kind = nibabel.Nifti2Image if data[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") else nibabel.Nifti1Image
        image: Any = kind.from_stream(BytesIO(data))
        self._stored = image.dataobj
        self._said = image.header
        self._shape = (*image.shape, 1, 1)[:3]
        self._places, self._turned = _orientation(image.affine)

    def length(self, axis: int) -> int:
        """Slices across an axis."""
        return int(self._shape[self._places[axis]])

    def slice(self, axis: int, number: int) -> Array:
        """The voxels [height, width] of one slice, as they are shown."""
        place = self._places[axis]
        stored = self.length(axis) - 1 - number if self._turned[axis] else number
        whole = [slice(None)] * 3
        index: list[Any] = [*whole[:place], stored, *whole[place + 1 :]]
        index = index[: self._stored.ndim] + [0] * (self._stored.ndim - 3)
        plane = np.asarray(self._stored[tuple(index)])
        left = [one for one in range(3) if one != place]
        plane = plane.reshape([self._shape[one] for one in left])
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
        return usual_range(np.concatenate([_real(self.slice(axis, int(number))).ravel() for number in numbers]))


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
