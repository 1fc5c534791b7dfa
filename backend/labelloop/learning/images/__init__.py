"""Whatever an image file holds, as one thing: 8-bit RGB, upright, opaque.

- Several frames: the first. EXIF orientation: applied. Transparent: over white. CMYK, YCbCr, LAB: converted.
- 16-bit, 32-bit and floating grey have no white that all files agree on: their darkest value becomes black, their brightest white,
  or the other way round in a TIFF that says its zero is white. 16-bit colours keep their upper eight bits.
- DICOM: the frame that is asked for, or the middle one; see `dicom`. NIfTI: the slice that is asked for, or the middle axial
  one; see `nifti`.
"""

from PIL import Image

from labelloop.errors import LearningError
from labelloop.learning.images.pillow import decode_picture
from labelloop.records.media import is_dicom, nifti_head, unmarked

__all__ = ["decode_image"]


def decode_image(data: bytes, *, shorter_side: int | None = None) -> Image.Image | None:
    """An encoded image as an upright RGB image.

    Args:
        data: the file's bytes, in any format that Pillow reads, DICOM or NIfTI; perhaps with the part that is meant
            (`records.media.marked`).
        shorter_side: pixels that are enough; a larger JPEG is decoded at the smallest of its own scales that has as many.

    Returns:
        The image; None when it cannot be decoded.

    Raises:
        LearningError: the library that reads such files is not installed.
    """
    file, part = unmarked(data)
    # The libraries raise dozens of kinds of error on files that are cut short, lie about themselves or are no images at all.
    try:
        if is_dicom(file):
            from labelloop.learning.images.dicom import decode_dicom

            return decode_dicom(file, part)
        if (head := nifti_head(file)) is not None:
            from labelloop.learning.images.nifti import decode_nifti

            return decode_nifti(file, head, part)
        return decode_picture(file, shorter_side)
    except LearningError:
        raise
    except Exception:
        return None
