"""Whether bytes are a DICOM or NIfTI file whose picture can be decoded within bounds, and whether it has the part that is meant."""

import logging
from importlib.util import find_spec
from io import BytesIO
from typing import Any, Final

from labelloop.errors import MediaBroken
from labelloop.records.media import (
    AXES,
    UNPACKED_MOST,
    NiftiHead,
    Part,
    is_dicom,
    nifti_head,
    unpacked_pieces,
)

MEDICAL_LIBRARIES: Final = ("pydicom", "nibabel", "pylibjpeg")
"""What reads DICOM and NIfTI, and unpacks compressed pixels."""
# The transfer syntax that compresses a file as a whole.
_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"


def check_medical(data: bytes, max_pixels: int) -> bool:
    """See that a DICOM or NIfTI file is what it claims to be, and not larger than allowed.

    Args:
        data: the file.
        max_pixels: largest width times height of one picture.

    Returns:
        False when it is neither.

    Raises:
        MediaBroken: it is damaged, cut short, too large, holds no picture, or what would read it is not installed.
    """
    if is_dicom(data):
        _check_dicom(data, max_pixels)
        return True
    head = nifti_head(data)
    if head is not None:
        _check_nifti(data, head, max_pixels)
    return head is not None


def is_medical(data: bytes) -> bool:
    """Whether it is a DICOM or NIfTI file."""
    return is_dicom(data) or nifti_head(data) is not None


def check_part(data: bytes, part: Part) -> None:
    """See that a DICOM or NIfTI file that has passed `check_medical` has a part.

    Raises:
        MediaBroken: it has not.
    """
    if part.axis and part.axis not in AXES:
        raise MediaBroken(f"axis={part.axis!a:.40} is no axis of a volume; there are {', '.join(AXES)}.")
    if is_dicom(data):
        frames = int(_read(data, pixels=False).get("NumberOfFrames") or 1)
        if part.frame is not None and not 1 <= part.frame <= frames:
            raise MediaBroken(f"the DICOM file has {frames} frames, counted from 1, and another is asked for.")
        return
    head = nifti_head(data)
    # Along which stored axis the slices lie, the header's directions say; none can have more than the longest.
    if head is not None and part.slice is not None and not 0 <= part.slice < max(head.shape[:3]):
        raise MediaBroken(
            f"the volume has at most {max(head.shape[:3])} slices, counted from 0, and another is asked for."
        )


def _check_dicom(data: bytes, max_pixels: int) -> None:
    _require("pydicom", "DICOM")
    if _DEFLATED in data[:2048]:
        raise MediaBroken("the DICOM file is deflated as a whole and may unpack to any size; save it without that.")
    try:
        file = _read(data)
        pixels, compressed = _pixels(file), file.file_meta.TransferSyntaxUID.is_encapsulated
        whole = pixels is None or compressed or len(pixels) >= _expected(file)
        height, width = int(file.Rows), int(file.Columns)
    except Exception as error:  # pydicom raises a dozen kinds of exception on damaged files
        raise MediaBroken(f"the DICOM file is damaged or cut short ({type(error).__name__}).") from None
    if pixels is None:
        raise MediaBroken("the DICOM file holds no picture.")
    _check_size(height, width, max_pixels)
    if not whole:
        raise MediaBroken("the DICOM file is damaged or cut short (fewer pixels than it claims).")
    _check_decoder(file)


def _read(data: bytes, *, pixels: bool = True) -> Any:
    from pydicom import dcmread

    logging.getLogger("pydicom").setLevel(logging.ERROR)  # it tells of every oddity of every file
    return dcmread(BytesIO(data), stop_before_pixels=not pixels)


def _pixels(file: Any) -> Any:
    names = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
    return next((file[name].value for name in names if name in file), None)


def _expected(file: Any) -> int:
    from pydicom.pixels.utils import get_expected_length

    return int(get_expected_length(file))


def _check_decoder(file: Any) -> None:
    from pydicom.pixels.decoders.base import get_decoder

    syntax = file.file_meta.TransferSyntaxUID
    try:
        readable = get_decoder(syntax).is_available
    except NotImplementedError:
        readable = False
    if not readable:
        raise MediaBroken(
            f"the DICOM file's pixels are compressed as {syntax.name}, which needs a decoder that is not installed; install "
            "pylibjpeg with its plug-ins, or save the file uncompressed."
        )


def _check_nifti(data: bytes, head: NiftiHead, max_pixels: int) -> None:
    _require("nibabel", "NIfTI")
    if head.alone:
        raise MediaBroken("the NIfTI file is a header alone, its voxels are in another; save both as one .nii file.")
    if not head.possible:
        raise MediaBroken("the NIfTI file is damaged (its header gives impossible sizes).")
    *_, width, height = sorted([1, 1, *head.shape[:3]])
    _check_size(height, width, max_pixels)
    if head.end > UNPACKED_MOST:
        raise MediaBroken(f"the volume takes more than {UNPACKED_MOST:,} bytes; cut it into smaller ones.")
    size = sum(map(len, unpacked_pieces(data, head.end))) if head.packed else len(data)
    if size < head.end:
        raise MediaBroken("the NIfTI file is damaged or cut short (fewer voxels than it claims).")


def _check_size(height: int, width: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise MediaBroken(
            f"the image has {width} x {height} pixels, more than the {max_pixels:,} of LABELLOOP_MEDIA_MAX_PIXELS."
        )
    if width * height < 1:
        raise MediaBroken("the image has no pixels.")


def _require(library: str, kind: str) -> None:
    if find_spec(library) is None:
        raise MediaBroken(
            f"it is a {kind} file, and {library}, which reads those, is not installed; install labelloop[medical]."
        )
