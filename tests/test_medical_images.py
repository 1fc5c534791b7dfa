"""DICOM and NIfTI become the picture that a viewer would show."""

import gzip
import subprocess
import sys
import tracemalloc
from io import BytesIO
from typing import Any

import numpy as np
import pytest

from labelloop.errors import LearningError
from labelloop.learning.images import decode_image
from labelloop.records.media import Part, marked, nifti_head, unmarked
from support.medical import dicom, nifti

pydicom = pytest.importorskip("pydicom")
nibabel = pytest.importorskip("nibabel")

RAMP = np.tile(np.arange(256), (4, 1))


def pixels(data: bytes, part: str = "") -> np.ndarray:
    image = decode_image(marked(data, Part.parse(part)) if part else data)
    assert image is not None
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def grey(data: bytes, part: str = "") -> np.ndarray:
    found = pixels(data, part)
    assert (found == found[..., :1]).all()
    return found[..., 0]


def test_a_window_shows_what_lies_in_it() -> None:
    found = grey(dicom((RAMP * 16).astype(np.uint16), bits=12, WindowCenter="2048", WindowWidth="1024"))

    assert (found[:, :96] == 0).all()
    assert (found[:, 160:] == 255).all()
    assert found[0, 128] == pytest.approx(127, abs=2)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_every_function_of_a_window_is_as_pydicom_has_it(function: str) -> None:
    values = (RAMP * 16).astype(np.uint16)
    data = dicom(values, bits=12, WindowCenter="2000", WindowWidth="900", VOILUTFunction=function)
    file = pydicom.dcmread(BytesIO(data))
    right = pydicom.pixels.apply_windowing(values, file) / 4095 * 255

    assert np.abs(grey(data) - right).max() < 1


def test_rescaling_comes_before_the_window() -> None:
    data = dicom(
        RAMP.astype(np.int16) - 100, RescaleSlope="10", RescaleIntercept="-24", WindowCenter="0", WindowWidth="400"
    )
    found = grey(data)

    assert found[0, 102] == pytest.approx(127, abs=5)
    assert found[0, 82] == pytest.approx(0, abs=2)
    assert found[0, 123] == 255


def test_of_several_windows_the_first_counts() -> None:
    one = dicom((RAMP * 16).astype(np.uint16), WindowCenter=["2048", "9"], WindowWidth=["1024", "9"])
    other = dicom((RAMP * 16).astype(np.uint16), WindowCenter="2048", WindowWidth="1024")

    assert (grey(one) == grey(other)).all()


@pytest.mark.parametrize("said", [{}, {"WindowCenter": "5"}, {"WindowCenter": "5", "WindowWidth": "0"}])
def test_without_a_usable_window_the_usual_values_fill_the_range(said: dict[str, Any]) -> None:
    values = (RAMP * 3 + 1000).astype(np.uint16)
    values[0, 0] = 65535
    found = grey(dicom(values, **said))

    assert found[1, 0] == 0
    assert found[1, -1] >= 250
    assert found[1, 128] == pytest.approx(128, abs=4)


def test_padding_does_not_take_the_range() -> None:
    values = (RAMP + 1000).astype(np.int16)
    values[:2] = -2000
    found = grey(dicom(values, PixelPaddingValue=-2000))

    assert (found[:2] == 0).all()
    assert np.ptp(found[2]) > 240


@pytest.mark.parametrize(("value", "limit"), [(-2000, -1990), (-1990, -2000)])
def test_a_range_of_padding_does_not_take_the_range_of_grey(value: int, limit: int) -> None:
    """Scanners fill up with several values, and say the first and the last of them in either order."""
    values = (RAMP + 1000).astype(np.int16)
    values[0], values[1] = -2000, -1995
    found = grey(dicom(values, PixelPaddingValue=value, PixelPaddingRangeLimit=limit))

    assert (found[:2] == 0).all()
    assert np.ptp(found[2]) > 240


def test_monochrome1_has_white_at_zero() -> None:
    values = RAMP.astype(np.uint8)
    window = {"WindowCenter": "128", "WindowWidth": "256"}
    one, two = (grey(dicom(values, PhotometricInterpretation=f"MONOCHROME{n}", **window)) for n in (1, 2))

    assert (two == values).all()
    assert (one == 255 - values).all()


def _table(entries: np.ndarray, bits: int, *, first: int = 0, order: str = "<") -> Any:
    table = pydicom.Dataset()
    table.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries) % 2**16, first, bits])
    table.add_new("LUTData", "OW", entries.astype(f"{order}u2").tobytes())
    return table


def test_a_table_of_values_of_interest_is_looked_up() -> None:
    found = grey(dicom(RAMP.astype(np.uint16), VOILUTSequence=[_table(np.arange(255, -1, -1), 8)]))

    assert (found == 255 - RAMP).all()


@pytest.mark.parametrize(("slope", "intercept"), [("1", "0"), ("1", "-1024"), ("0.5", "-512")])
def test_a_table_is_looked_up_by_rescaled_values(slope: str, intercept: str) -> None:
    """Mammograms have a slope of 1 and an intercept of 0 beside their table, and what is rescaled is no integer any more."""
    table = _table(np.arange(4095, -1, -1), 12, first=int(intercept))
    stored = (RAMP * 16 / float(slope)).astype(np.uint16)
    found = grey(dicom(stored, RescaleSlope=slope, RescaleIntercept=intercept, VOILUTSequence=[table]))

    assert np.abs(found - (255 - RAMP)).max() <= 1


def test_a_table_may_have_more_entries_than_its_entries_can_count() -> None:
    found = grey(dicom((RAMP * 16).astype(np.uint16), bits=12, VOILUTSequence=[_table(np.arange(4096) // 16, 8)]))

    assert (found == RAMP).all()


@pytest.mark.parametrize("name", ["ModalityLUTSequence", "VOILUTSequence"])
def test_a_table_may_be_as_long_as_there_are_values(name: str) -> None:
    stored = (RAMP * 257 - 2**15).astype(np.int16)
    found = grey(dicom(stored, **{name: [_table(np.arange(2**16), 16, first=-(2**15))]}))

    assert np.abs(found - RAMP).max() <= 2


def test_what_lies_beyond_a_table_gets_its_first_or_last_entry() -> None:
    table = _table(np.array([0, 255]), 8, first=100)
    found = grey(dicom(RAMP.astype(np.uint8), VOILUTSequence=[table]))

    assert (found == np.where(RAMP > 100, 255, 0)).all()


def test_an_empty_list_of_tables_is_none() -> None:
    window = {"WindowCenter": "128", "WindowWidth": "256"}

    assert (grey(dicom(RAMP.astype(np.uint8), VOILUTSequence=[], **window)) == RAMP).all()


def test_the_other_order_of_bytes_is_read() -> None:
    table = _table(np.arange(4095, -1, -1), 12, order=">")
    values = (RAMP * 16).astype(np.uint16)
    file = pydicom.dcmread(BytesIO(dicom(values, bits=12, VOILUTSequence=[table])))
    file.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
    file.PixelData = values.astype(">u2").tobytes()
    stream = BytesIO()
    pydicom.dcmwrite(stream, file, implicit_vr=False, little_endian=False, force_encoding=True)

    assert np.abs(grey(stream.getvalue()) - (255 - RAMP)).max() <= 1


def test_colours_keep_their_upper_eight_bits() -> None:
    rgb = np.full((4, 4, 3), (255, 100, 0))

    assert (pixels(dicom(rgb.astype(np.uint8))) == [255, 100, 0]).all()
    assert (pixels(dicom((rgb * 257).astype(np.uint16))) == [255, 100, 0]).all()


def test_ybr_becomes_rgb() -> None:
    ybr = np.full((4, 4, 3), (76, 85, 255), dtype=np.uint8)

    assert np.abs(pixels(dicom(ybr, PhotometricInterpretation="YBR_FULL")) - [254, 0, 0]).max() < 4


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_is_looked_up(bits: int) -> None:
    tables: dict[str, Any] = {}
    for name, value in (("Red", 255), ("Green", 10), ("Blue", 130)):
        entries = np.array([0, value * (257 if bits == 16 else 1)], dtype="<u2" if bits == 16 else "u1")
        tables[f"{name}PaletteColorLookupTableDescriptor"] = [2, 0, bits]
        tables[f"{name}PaletteColorLookupTableData"] = entries.tobytes()
    values = np.array([[0, 1], [1, 0]], dtype=np.uint8)
    found = pixels(dicom(values, PhotometricInterpretation="PALETTE COLOR", **tables))

    assert found[0, 1].tolist() == [255, 10, 130]
    assert found[0, 0].tolist() == [0, 0, 0]


def test_one_frame_of_many_is_shown() -> None:
    frames = np.repeat(np.arange(6, dtype=np.uint8) * 50, 16).reshape(6, 4, 4)
    data = dicom(frames, NumberOfFrames=6, WindowCenter="128", WindowWidth="256")

    assert (grey(data) == 150).all()
    assert (grey(data, "frame=1") == 0).all()
    assert (grey(data, "frame=6") == 250).all()
    for other in ("frame=0", "frame=7", "frame=x", "frame=-1"):
        assert decode_image(marked(data, Part.parse(other))) is None


def test_frames_have_windows_of_their_own() -> None:
    def group(name: str, **said: Any) -> Any:
        inner, outer = pydicom.Dataset(), pydicom.Dataset()
        for key, value in said.items():
            setattr(inner, key, value)
        setattr(outer, name, [inner])
        return outer

    frames = np.full((2, 4, 4), 60, dtype=np.uint8)
    windows = [group("FrameVOILUTSequence", WindowCenter=str(c), WindowWidth="10") for c in (200, 20)]
    shared = group("PixelValueTransformationSequence", RescaleSlope="2", RescaleIntercept="0")
    data = dicom(
        frames, NumberOfFrames=2, PerFrameFunctionalGroupsSequence=windows, SharedFunctionalGroupsSequence=[shared]
    )

    assert (grey(data, "frame=1") == 0).all()
    assert (grey(data, "frame=2") == 255).all()


def test_run_lengths_need_no_plug_in() -> None:
    file = pydicom.dcmread(BytesIO(dicom(RAMP.astype(np.uint8), WindowCenter="128", WindowWidth="256")))
    file.compress(pydicom.uid.RLELossless)
    stream = BytesIO()
    file.save_as(stream)

    assert (grey(stream.getvalue()) == RAMP).all()


BOX = np.zeros((6, 8, 10))
BOX[5, :, :] = 100  # the patient's right
BOX[:, 7, :] += 50  # front
BOX[:, :, 9] += 25  # head


def test_a_volume_is_shown_as_radiologists_look_at_it() -> None:
    axial = grey(nifti(BOX, cal_max=200.0))
    coronal = grey(nifti(BOX, cal_max=200.0), "axis=coronal")
    sagittal = grey(nifti(BOX, cal_max=200.0), "axis=sagittal")

    assert axial.shape == (8, 6)
    assert axial[4, 0] == 128  # right on the left
    assert axial[0, 3] == 64  # front up
    assert coronal.shape == (10, 6)
    assert coronal[4, 0] == 128
    assert coronal[0, 3] == 32  # head up
    assert sagittal.shape == (10, 8)
    assert sagittal[4, 0] == 64  # front on the left
    assert sagittal[0, 3] == 32


@pytest.mark.parametrize("axes", ["RAS", "LPS", "AIL", "SRP", "PSR"])
@pytest.mark.parametrize(("axis", "part"), [(0, "sagittal"), (1, "coronal"), (2, "axial")])
def test_the_order_voxels_are_stored_in_makes_no_difference(axes: str, axis: int, part: str) -> None:
    codes = nibabel.orientations.axcodes2ornt(tuple(axes))
    values = np.random.default_rng(0).integers(0, 255, (5, 6, 7)).astype(np.uint8)
    plain = nibabel.Nifti1Image(values, np.eye(4))
    turned = plain.as_reoriented(nibabel.orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], codes))
    canonical = np.asarray(nibabel.as_closest_canonical(turned).dataobj)
    shown = canonical.take(2, axis=axis).T[::-1, ::-1]

    assert (canonical == values).all()
    turned.header["cal_max"] = 255
    assert (grey(turned.to_bytes(), f"slice=2&axis={part}") == shown).all()


def test_the_middle_slice_is_shown_and_others_on_request() -> None:
    values = np.broadcast_to(np.arange(5, dtype=np.uint8) * 50, (4, 4, 5)).copy()
    data = nifti(values, packed=True, cal_max=200.0)

    assert (grey(data) == 127 + 1).all() or (grey(data) == 127).all()
    assert (grey(data, "slice=4") == 255).all()
    for other in ("slice=5", "slice=x", "axis=oblique"):
        assert decode_image(marked(data, Part.parse(other))) is None


def test_of_a_series_the_first_volume_is_read_even_where_the_rest_is_missing() -> None:
    values = np.stack([np.full((4, 4, 3), 100, np.int16), np.zeros((4, 4, 3), np.int16)], axis=3)
    data = nifti(values, cal_max=200.0)

    assert (grey(data) == 128).all() or (grey(data) == 127).all()
    assert (grey(data[: 352 + 4 * 4 * 3 * 2]) == grey(data)).all()


def test_slices_of_a_volume_share_their_range() -> None:
    values = np.random.default_rng(0).normal(0, 1, (16, 16, 16))
    values[..., 8:] += 100

    assert grey(nifti(values), "slice=2").max() < 20
    assert grey(nifti(values), "slice=12").min() > 230


def test_scale_two_dimensions_colours_and_complex_values() -> None:
    assert grey(nifti(np.arange(16.0).reshape(4, 4))).shape == (4, 4)
    scaled = nifti(np.full((2, 2, 2), 10, np.int16), scl_slope=2.0, scl_inter=5.0, cal_max=100.0)
    assert grey(scaled)[0, 0] in (63, 64)
    colours = np.zeros((2, 2, 2), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    colours["R"] = 200
    assert (pixels(nifti(colours)) == [200, 0, 0]).all()
    assert grey(nifti(np.full((2, 2, 2), 3 + 4j, np.complex64), cal_max=10.0))[0, 0] in (127, 128)


def test_even_and_missing_values_are_black() -> None:
    assert (grey(nifti(np.full((4, 4, 4), 7.0))) == 0).all()
    assert (grey(nifti(np.full((4, 4, 4), np.nan))) == 0).all()
    assert (grey(dicom(np.full((4, 4), 7, np.uint16))) == 0).all()


def test_second_version_and_the_other_order_of_bytes_are_read() -> None:
    values = np.arange(64, dtype=np.int16).reshape(4, 4, 4)
    second = nibabel.Nifti2Image(values, np.eye(4)).to_bytes()
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    swapped = nibabel.Nifti1Image(values, np.eye(4), header).to_bytes()

    assert (grey(second) == grey(nifti(values))).all()
    assert nifti_head(swapped) == nifti_head(nifti(values))
    assert (grey(swapped) == grey(nifti(values))).all()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_what_is_cut_short_or_damaged_is_no_image(share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 999, (16, 16, 16)).astype(np.int16)
    for data in (dicom(noise[0].astype(np.uint16)), nifti(noise), nifti(noise, packed=True)):
        assert decode_image(data[: int(len(data) * share)]) is None


def test_random_bytes_after_a_right_beginning_never_crash() -> None:
    rng = np.random.default_rng(0)
    for whole in (dicom(RAMP.astype(np.uint16)), nifti(BOX.astype(np.int16)), nifti(BOX.astype(np.int16), packed=True)):
        for _ in range(40):
            data = np.frombuffer(whole, dtype=np.uint8).copy()
            at = rng.integers(0, min(len(data), 600), 8)
            data[at] = rng.integers(0, 256, 8)
            decode_image(data.tobytes())


def test_a_bomb_is_not_unpacked() -> None:
    head = nifti(np.zeros((2, 2, 2), np.uint8))[:352]
    huge = bytearray(head)
    huge[40:56] = np.array([3, 32767, 32767, 32767, 1, 1, 1, 1], dtype="<i2").tobytes()

    assert decode_image(gzip.compress(bytes(huge) + bytes(10_000_000))) is None
    assert decode_image(gzip.compress(head + bytes(50_000_000))) is not None


def test_a_mark_is_taken_off_again() -> None:
    assert unmarked(marked(b"data", Part(frame=3))) == (b"data", Part(frame=3))
    assert unmarked(marked(b"a\nb", Part(slice=0, axis="coronal"))) == (b"a\nb", Part(slice=0, axis="coronal"))
    assert unmarked(b"data") == (b"data", Part())


@pytest.mark.parametrize("part", ["axis=axial", "axis=coronal", "axis=sagittal"])
def test_a_large_volume_is_not_held_as_a_whole(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of 16 MiB is shown with a few: what is packed lies in a file, and planes are read as they are wanted."""
    monkeypatch.setattr("labelloop.learning.images.nifti.HELD", 2**20)
    monkeypatch.setattr("labelloop.learning.images.nifti.SAMPLED", 1)
    values = np.zeros((256, 256, 256), np.uint8)
    values[100:, 60:, 30:] = 200
    data, right = nifti(values, packed=True), grey(nifti(values[::16, ::16, ::16]), part)
    grey(data, part)
    tracemalloc.start()
    found = grey(data, part)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 8 * 2**20
    assert (found[8::16, 8::16] == right).mean() > 0.8


@pytest.mark.parametrize(("library", "data"), [("pydicom", dicom(RAMP.astype(np.uint8))), ("nibabel", nifti(BOX))])
def test_a_missing_library_is_named(library: str, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    import labelloop.learning.images.dicom as dicom_room
    import labelloop.learning.images.nifti as nifti_room

    for room in (dicom_room, nifti_room):
        monkeypatch.setattr(room, "find_spec", lambda name: None)
    with pytest.raises(LearningError, match=rf"{library}, which is not installed; install labelloop\[medical\]"):
        decode_image(data)


def test_importing_what_decodes_costs_no_medical_library() -> None:
    code = "import sys, labelloop.learning.images; print([n for n in ('pydicom', 'nibabel') if n in sys.modules])"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)

    assert done.stdout.strip() == "[]"
