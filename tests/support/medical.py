"""DICOM and NIfTI files made on the spot."""

import gzip
from io import BytesIO
from typing import Any

import numpy as np

EXPLICIT = "1.2.840.10008.1.2.1"


def dicom(pixels: np.ndarray, *, syntax: str = EXPLICIT, bits: int | None = None, **said: Any) -> bytes:
    """A DICOM file of pixels [height, width], [frames, height, width] (with `NumberOfFrames`) or [height, width, 3]."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID

    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = UID(syntax)
    file.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
    file.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    file.SOPClassUID, file.SOPInstanceUID = file.file_meta.MediaStorageSOPClassUID, UID("1.2.3")
    colours = pixels.shape[-1] == 3 and pixels.ndim > 2
    file.Rows, file.Columns = pixels.shape[-3:-1] if colours else pixels.shape[-2:]
    file.SamplesPerPixel = 3 if colours else 1
    if colours:
        file.PlanarConfiguration = 0
    file.PhotometricInterpretation = "RGB" if colours else "MONOCHROME2"
    file.BitsAllocated = 8 * pixels.dtype.itemsize
    file.BitsStored = bits or file.BitsAllocated
    file.HighBit = file.BitsStored - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    for name, value in said.items():
        setattr(file, name, value)
    file.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    file["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    stream = BytesIO()
    file.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def nifti(voxels: np.ndarray, affine: np.ndarray | None = None, *, packed: bool = False, **said: Any) -> bytes:
    """A NIfTI-1 file, compressed if `packed`; other arguments are written into its header."""
    import nibabel

    image = nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine)
    for name, value in said.items():
        image.header[name] = value
    data = image.to_bytes()
    return gzip.compress(data) if packed else data
