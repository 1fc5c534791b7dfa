"""Whether bytes are an image that can be decoded within bounds."""

import io
import warnings
from typing import TYPE_CHECKING

from labelloop.errors import MediaBroken
from labelloop.labelstudio.medical import check_medical

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""Those that Pillow reads; DICOM and NIfTI are read beside them."""


def check_image(data: bytes, max_pixels: int) -> None:
    """See that an image is what it claims to be, whole, and not larger than allowed.

    Args:
        data: the file.
        max_pixels: largest width times height. Where Pillow's own limit is lower, it is raised for the whole process.

    Raises:
        MediaBroken: it is not an image of a known format, too large, truncated or otherwise damaged.
    """
    from PIL import Image, UnidentifiedImageError

    if check_medical(data, max_pixels):
        return
    # Pillow warns above its limit and fails above twice of it; what is above ours is refused below, so its warning adds nothing.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, max_pixels)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height <= max_pixels:
                _decode(image)
    except UnidentifiedImageError:
        raise MediaBroken(f"it is not an image of a known format ({', '.join(FORMATS)}, DICOM, NIfTI).") from None
    except Image.DecompressionBombError:
        raise MediaBroken(
            f"the image has far more than the {max_pixels:,} pixels of LABELLOOP_MEDIA_MAX_PIXELS."
        ) from None
    except Exception as error:  # Pillow's decoders raise a dozen kinds of exception on damaged files
        raise MediaBroken(f"the image is damaged or cut short ({type(error).__name__}).") from None
    if width * height > max_pixels:
        raise MediaBroken(
            f"the image has {width} x {height} pixels, more than the {max_pixels:,} of LABELLOOP_MEDIA_MAX_PIXELS."
        )


def _decode(image: "PillowImage") -> None:
    """Read to the end, as cheaply as the format allows."""
    if image.format == "PNG":
        image.verify()  # checks every chunk without decompressing one
    else:
        image.draft("RGB", (32, 32))  # JPEG is decoded at an eighth of its size
        image.load()
