"""Medical files pass when they are whole, and the part of them that a task means comes along."""

import gzip
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import labelloop.labelstudio.medical as medical
from labelloop.errors import MediaBroken
from labelloop.labelstudio import LabelStudio, MediaFetcher
from labelloop.labelstudio.images import check_image
from labelloop.learning.images import decode_image
from labelloop.records import Modality
from labelloop.records.media import Part, unmarked, unpacked
from labelloop.settings import Settings
from support.keys import LEGACY
from support.medical import dicom, nifti
from support.site import Site

pytest.importorskip("pydicom")
pytest.importorskip("nibabel")

LIMIT = 10_000
FRAMES = np.random.default_rng(0).integers(0, 4095, (3, 20, 30)).astype(np.uint16)
MANY = dicom(FRAMES, NumberOfFrames=3)
VOLUME = np.random.default_rng(0).integers(0, 999, (20, 30, 10)).astype(np.int16)


def members(data: bytes, size: int = 100) -> bytes:
    """Compressed a part at a time, as `bgzip` does."""
    return b"".join(gzip.compress(data[start : start + size]) for start in range(0, len(data), size))


@pytest.mark.parametrize(
    "data",
    [dicom(FRAMES[0]), MANY, nifti(VOLUME), nifti(VOLUME, packed=True), members(nifti(VOLUME))],
    ids=["DICOM", "frames", "NIfTI", "gzip", "members"],
)
def test_a_whole_file_passes_and_one_cut_short_does_not(data: bytes) -> None:
    check_image(data, LIMIT)
    for share in (0.5, 0.95):
        with pytest.raises(MediaBroken, match="damaged or cut short"):
            check_image(data[: int(share * len(data))], LIMIT)


def test_more_pixels_than_allowed_are_refused() -> None:
    for data in (dicom(np.zeros((101, 100), np.uint8)), nifti(np.zeros((101, 100, 2), np.uint8))):
        with pytest.raises(MediaBroken, match="more than the 10,000 of LABELLOOP_MEDIA_MAX_PIXELS"):
            check_image(data, LIMIT)


def test_a_bomb_is_refused_without_being_unpacked() -> None:
    head = bytearray(nifti(np.zeros((2, 2, 2), np.uint8))[:352])
    head[40:56] = np.array([3, 9, 9, 32767, 1, 1, 1, 1], dtype="<i2").tobytes()
    with pytest.raises(MediaBroken, match="LABELLOOP_MEDIA_MAX_PIXELS"):
        check_image(gzip.compress(bytes(head)), LIMIT)
    head[40:56] = np.array([3, 32767, 32767, 32767, 1, 1, 1, 1], dtype="<i2").tobytes()
    with pytest.raises(MediaBroken, match="cut it into smaller ones"):
        check_image(gzip.compress(bytes(head)), 2**31)


def test_what_follows_the_members_of_a_file_is_passed_over() -> None:
    for after in (b"\0" * 600, b"signature", gzip.compress(b"")[:7]):
        check_image(members(nifti(VOLUME)) + after, LIMIT)


def test_all_members_together_give_no_more_bytes_than_wanted() -> None:
    packed = members(b"one and two and three", 4)
    assert [unpacked(packed, most) for most in (0, 4, 10, 100)] == [
        b"",
        b"one ",
        b"one and tw",
        b"one and two and three",
    ]
    started = time.monotonic()
    assert unpacked(gzip.compress(b"") * 100_000, 10) == b""
    assert time.monotonic() - started < 5


def test_a_negative_or_missing_size_is_damage() -> None:
    head = bytearray(nifti(VOLUME))
    head[42:44] = np.array([-4], dtype="<i2").tobytes()
    with pytest.raises(MediaBroken, match="impossible sizes"):
        check_image(bytes(head), LIMIT)
    head[40:42] = b"\0\0"
    with pytest.raises(MediaBroken, match="impossible sizes"):
        check_image(bytes(head), LIMIT)


def test_a_header_without_its_voxels_is_named_so() -> None:
    data = bytearray(nifti(VOLUME))
    data[344:348] = b"ni1\0"
    with pytest.raises(MediaBroken, match=r"save both as one \.nii file"):
        check_image(bytes(data), LIMIT)


def test_other_gzip_is_no_image() -> None:
    with pytest.raises(MediaBroken, match=r"not an image of a known format .*DICOM, NIfTI"):
        check_image(gzip.compress(b"a page" * 1000), LIMIT)


def test_dicom_without_a_picture_is_named_so() -> None:
    from pydicom import dcmread

    file, stream = dcmread(BytesIO(dicom(FRAMES[0]))), BytesIO()
    del file.PixelData
    file.save_as(stream)
    with pytest.raises(MediaBroken, match="holds no picture"):
        check_image(stream.getvalue(), LIMIT)


def test_a_compression_without_a_decoder_is_named() -> None:
    from pydicom import dcmread
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGLSLossless

    file, stream = dcmread(BytesIO(dicom(FRAMES[0]))), BytesIO()
    file.file_meta.TransferSyntaxUID = JPEGLSLossless
    file.PixelData = encapsulate([b"\0" * 100])
    file["PixelData"].VR = "OB"
    file.save_as(stream)
    with pytest.raises(MediaBroken, match=r"compressed as JPEG-LS Lossless.*needs a decoder that is not installed"):
        check_image(stream.getvalue(), LIMIT)


def test_a_file_deflated_as_a_whole_is_refused() -> None:
    from pydicom import dcmread
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    file, stream = dcmread(BytesIO(dicom(FRAMES[0]))), BytesIO()
    file.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    file.save_as(stream)
    with pytest.raises(MediaBroken, match="deflated as a whole"):
        check_image(stream.getvalue(), LIMIT)
    assert decode_image(stream.getvalue()) is None


@pytest.mark.parametrize(("kind", "data"), [("DICOM", MANY), ("NIfTI", nifti(VOLUME))])
def test_a_missing_library_is_named(kind: str, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(medical, "find_spec", lambda name: None)
    with pytest.raises(MediaBroken, match=rf"it is a {kind} file.*install labelloop\[medical\]"):
        check_image(data, LIMIT)


def test_random_changes_of_a_header_give_a_sentence_at_most() -> None:
    rng = np.random.default_rng(1)
    for whole in (MANY, nifti(VOLUME), nifti(VOLUME, packed=True)):
        for _ in range(40):
            data = np.frombuffer(whole, dtype=np.uint8).copy()
            data[rng.integers(0, 600, 6)] = rng.integers(0, 256, 6)
            try:
                check_image(data.tobytes(), LIMIT)
            except MediaBroken as error:
                assert str(error).endswith(".")


@pytest.fixture
def studio() -> Iterator[Site]:
    """Stands for Label Studio's media paths."""
    with Site() as site:
        yield site


@pytest.fixture
def fetch(studio: Site, tmp_path: Path) -> Callable[[str], bytes]:
    settings = Settings(label_studio_url=studio.url, label_studio_api_key=LEGACY)
    fetcher = MediaFetcher(LabelStudio.from_settings(settings), tmp_path / "media", settings)
    return lambda value: fetcher.fetch(7, value, Modality.IMAGE)


def test_the_part_that_is_meant_comes_with_the_file_which_is_fetched_once(
    studio: Site, fetch: Callable[[str], bytes]
) -> None:
    studio.pages["/data/upload/1/a.dcm"] = MANY

    assert fetch("/data/upload/1/a.dcm") == MANY
    assert unmarked(fetch("/data/upload/1/a.dcm#frame=3")) == (MANY, Part(frame=3))
    assert len(studio.asked) == 1
    with pytest.raises(MediaBroken, match="has 3 frames, counted from 1, and another is asked for"):
        fetch("/data/upload/1/a.dcm#frame=4")


def test_a_query_names_a_part_and_stays_in_the_address(studio: Site, fetch: Callable[[str], bytes]) -> None:
    studio.pages["/data/upload/1/a.nii?slice=4&axis=coronal"] = nifti(VOLUME)

    assert unmarked(fetch("/data/upload/1/a.nii?slice=4&axis=coronal"))[1] == Part(slice=4, axis="coronal")


def test_parts_of_a_storage_link_are_not_taken_for_its_name(studio: Site, fetch: Callable[[str], bytes]) -> None:
    studio.pages["/tasks/7/resolve/?fileuri=czM6Ly9iL2EubmlpLmd6"] = nifti(VOLUME, packed=True)

    for value in ("s3://b/a.nii.gz#slice=9", "s3://b/a.nii.gz?slice=9"):
        assert unmarked(fetch(value))[1] == Part(slice=9)
    for value in ("s3://b/a.nii.gz#slice=30", "s3://b/a.nii.gz#slice=1&axis=up"):
        with pytest.raises(MediaBroken, match=r"another is asked for|is no axis"):
            fetch(value)


def test_an_ordinary_image_has_no_parts(studio: Site, fetch: Callable[[str], bytes]) -> None:
    stream = BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG")
    studio.pages["/data/upload/1/a.png?frame=2"] = stream.getvalue()

    assert fetch("/data/upload/1/a.png?frame=2#slice=3") == stream.getvalue()
