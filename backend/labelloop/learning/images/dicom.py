"""Images in DICOM files: one frame, as a viewer would show it.

- Frames are counted from 1; where none is asked for it is the middle one, the later of two.
- Grey: rescaled or through the modality LUT; then through the VOI LUT or the first window, of the frame where frames have their own
  (PS3.3 C.11.2); without a usable one from the 0.5th to the 99.5th percentile, padding aside (a value, or a range of them, PS3.3
  C.7.5.1.1.2). MONOCHROME1 is turned round.
- Colours: RGB, and YBR converted to it; PALETTE COLOR through its tables. More than 8 bits: the upper ones.
- Compressed frames are read by whatever decoders pydicom finds: RLE by itself, JPEG and JPEG 2000 by Pillow where it can; others
  need a plug-in of pydicom's.
"""

from importlib.util import find_spec
from io import BytesIO
from typing import Any, Final

import numpy as np
from PIL import Image

from labelloop.errors import LearningError
from labelloop.learning.arrays import Array, Bools, Floats
from labelloop.learning.images.grey import picture, stretched, usual_range
from labelloop.records.media import UNPACKED_MOST, Part

# The transfer syntax that compresses a file as a whole, and unpacks it as a whole into memory, whatever the size.
_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"


def decode_dicom(data: bytes, part: Part) -> Image.Image:
    """One frame of a DICOM file.

    Raises:
        LearningError: pydicom is not installed.
        Exception: of any kind, when there is no such frame or it cannot be decoded.
    """
    if find_spec("pydicom") is None:
        raise LearningError("Reading DICOM files needs pydicom, which is not installed; install labelloop[medical].")
    from pydicom import dcmread
    from pydicom.pixels.utils import pixel_array

    if _DEFLATED in data[:2048]:
        raise ValueError("a deflated file may unpack to any size")
    file = dcmread(BytesIO(data))
    frame = _frame(file, part)
    if int(file.Rows) * int(file.Columns) * 8 > UNPACKED_MOST:
        raise ValueError("the frame is too large")
    stored = pixel_array(file, index=frame)
    if file.PhotometricInterpretation == "PALETTE COLOR":
        return _colours(_looked_up(stored, file))
    if stored.ndim == 3:
        return _colours(stored / (2 ** int(file.BitsStored) - 1))
    brightness = _brightness(stored, file, frame)
    return picture(1 - brightness if file.PhotometricInterpretation == "MONOCHROME1" else brightness)


def _frame(file: Any, part: Part) -> int:
    """The frame meant, counted from 0."""
    frames = int(file.get("NumberOfFrames") or 1)
    frame = frames // 2 if part.frame is None else part.frame - 1
    if not 0 <= frame < frames:
        raise ValueError(f"there is no frame {part.frame} among {frames}")
    return frame


def _colours(shares: Floats) -> Image.Image:
    return picture(np.clip(shares[..., :3], 0, 1))


def _looked_up(stored: Array, file: Any) -> Floats:
    from pydicom.pixels.processing import apply_color_lut

    found = apply_color_lut(stored, file)
    shares: Floats = found / np.iinfo(found.dtype).max
    return shares


def _brightness(stored: Array, file: Any, frame: int) -> Floats:
    """Grey values of a frame as brightness in [0, 1]."""
    from pydicom.pixels.processing import apply_modality_lut

    little = bool(file.file_meta.TransferSyntaxUID.is_little_endian)
    modality = _group(file, frame, "PixelValueTransformationSequence")
    if tables := modality.get("ModalityLUTSequence"):
        values = _through_table(stored, tables[0], little=little)
    else:
        values = apply_modality_lut(stored, modality)
    voi = _group(file, frame, "FrameVOILUTSequence")
    if tables := voi.get("VOILUTSequence"):
        white = 2 ** int(tables[0].LUTDescriptor[2]) - 1
        shares: Floats = np.clip(_through_table(values, tables[0], little=little) / white, 0, 1)
        return shares
    values = np.asarray(values, dtype=np.float64)
    if (window := _window(voi)) is not None:
        return _windowed(values, *window)
    return stretched(values, *usual_range(values[~_is_padding(stored, file)]))


def _is_padding(stored: Array, file: Any) -> Bools:
    """Which stored values fill the frame up around the picture, bool like them."""
    value = file.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, dtype=bool)
    limit = file.get("PixelPaddingRangeLimit")
    low, high = sorted((int(value), int(value if limit is None else limit)))
    return np.asarray((stored >= low) & (stored <= high))


def _group(file: Any, frame: int, name: str) -> Any:
    """Where the attributes that frames may have of their own are: the frame's group, the one all frames share, or the file."""
    per_frame, shared = file.get("PerFrameFunctionalGroupsSequence"), file.get("SharedFunctionalGroupsSequence")
    for groups in (per_frame[frame : frame + 1] if per_frame else [], shared or []):
        for group in groups:
            if found := group.get(name):
                return found[0]
    return file


def _through_table(values: Array, table: Any, *, little: bool) -> Array:
    """The entries of a look-up table (PS3.3 C.11.1.1.1) for grey values, the next whole ones; its first or last for those beyond.

    pydicom's own wraps round where the table has more entries than the values, or the entries, have room to count.
    """
    count, first, _ = (int(said) for said in table.LUTDescriptor)
    said = table.LUTData
    if isinstance(said, bytes):
        wide = len(said) >= 2 * (count or 2**16)
        said = np.frombuffer(said, dtype=("<u2" if little else ">u2") if wide else np.uint8)
    entries = np.atleast_1d(said)[: count or 2**16]
    places = np.nan_to_num(values.astype(np.float64), nan=-np.inf)
    return entries[np.clip(np.rint(places) - first, 0, len(entries) - 1).astype(np.intp)]


def _window(voi: Any) -> tuple[float, float, str] | None:
    """Centre, width and function of the first window; None where there is none that can be used."""
    try:
        centre, width = (float(np.atleast_1d(voi[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    function = str(voi.get("VOILUTFunction") or "LINEAR")
    least = 1.0 if function == "LINEAR" else np.finfo(np.float64).tiny
    return (centre, width, function) if np.isfinite([centre, width]).all() and width >= least else None


def _windowed(values: Floats, centre: float, width: float, function: str) -> Floats:
    """The three functions of PS3.3 C.11.2.1.2 and C.11.2.1.3, from 0 to 1."""
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))
    if function == "LINEAR_EXACT":
        return stretched(values, centre - width / 2, centre + width / 2)
    low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    return stretched(values, low, high) if high > low else (values > low).astype(np.float64)
