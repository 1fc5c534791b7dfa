"""Maps of images: of torchvision's networks with weights made here, and of none at all."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labelloop.errors import LearningError, WeightsNotFound
from labelloop.learning import BackboneSpec, Dense, Parts, load_backbone, resolve_backbone
from labelloop.learning.backbones.maps import SIDE, Squashed, pack, quarters, unpack
from labelloop.records import Modality

MODEL = "mobilenet_v2"


def _spec(name: str = MODEL, weights: Path | str = "", parts: Parts = Parts.MAP) -> BackboneSpec:
    return BackboneSpec(Modality.IMAGE, name, str(weights), device="cpu", offline=True, parts=parts)


def _embed(spec: BackboneSpec, items: list[bytes]) -> tuple[np.ndarray, list[Dense]]:
    backbone: Any = load_backbone(spec, resolve_backbone(spec))
    rows, maps = backbone.embed_dense(items)
    return rows, maps


def _file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _spot(row: int, column: int, side: int = 64) -> Image.Image:
    """A grey image with one white spot of a sixteenth of its side."""
    pixels = np.full((side, side, 3), 90, dtype=np.uint8)
    reach = side // 16
    pixels[row : row + reach, column : column + reach] = 255
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch = pytest.importorskip("torch")
    torchvision = pytest.importorskip("torchvision")
    from safetensors.torch import save_file

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "made.safetensors"
    save_file(torchvision.models.get_model(MODEL).state_dict(), path)
    return path


@pytest.fixture(params=["plain", MODEL])
def spec(request: pytest.FixtureRequest) -> BackboneSpec:
    if request.param == "plain":
        return _spec("plain")
    return _spec(MODEL, request.getfixturevalue("weights"))


def test_levels_are_a_quarter_an_eighth_and_a_sixteenth_of_the_side(spec: BackboneSpec) -> None:
    rows, (dense,) = _embed(spec, [_file(_spot(0, 0))])
    maps = unpack(dense)

    assert (maps.height, maps.width) == (64, 64)
    assert [level.shape[1:] for level in maps.levels] == [(SIDE // stride, SIDE // stride) for stride in (4, 8, 16)]
    assert dense.values.dtype == np.float16
    assert dense.places.dtype == np.int32
    assert dense.values.nbytes < 650_000
    assert np.isfinite(rows).all()
    assert rows.shape == (1, resolve_backbone(spec).dim)


def test_what_is_in_a_corner_is_seen_in_that_corner(spec: BackboneSpec) -> None:
    _, (empty, spotted) = _embed(spec, [_file(Image.new("RGB", (64, 64), (90, 90, 90))), _file(_spot(12, 44))])
    for bare, seen in zip(unpack(empty).levels, unpack(spotted).levels, strict=True):
        change = np.abs(seen.astype(np.float32) - bare).sum(axis=0)
        row, column = np.unravel_index(change.argmax(), change.shape)
        assert (row + 0.5) / len(change) == pytest.approx(14 / 64, abs=0.09)
        assert (column + 0.5) / len(change) == pytest.approx(46 / 64, abs=0.09)


def test_broken_images_leave_their_place_empty(spec: BackboneSpec) -> None:
    good = _file(_spot(5, 5))
    rows, maps = _embed(spec, [b"broken", good, b"", good])

    assert np.isfinite(rows).all(axis=1).tolist() == [False, True, False, True]
    assert [dense.values.size > 0 for dense in maps] == [False, True, False, True]
    assert maps[0].places.size == 0
    assert maps[1].values == pytest.approx(maps[3].values, abs=2e-2)
    assert _embed(spec, []) == (pytest.approx(np.zeros((0, rows.shape[1]))), [])


def test_size_is_the_size_as_shown(spec: BackboneSpec) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    large = _file(Image.new("RGB", (3000, 1000), "white"), "JPEG", exif=turned)
    strip = _file(Image.new("L", (4000, 1), 7))
    _, maps = _embed(spec, [large, strip])

    assert maps[0].places[:2].tolist() == [3000, 1000]
    assert maps[1].places[:2].tolist() == [1, 4000]


def test_rows_alone_are_the_rows_beside_the_maps(spec: BackboneSpec) -> None:
    backbone: Any = load_backbone(spec, resolve_backbone(spec))
    items = [_file(_spot(5 * number, 9)) for number in range(3)]
    told: list[int] = []

    assert (backbone.embed(items) == backbone.embed_dense(items, told.append)[0]).all()
    assert told[-1] == 3


def test_maps_do_not_depend_on_their_neighbours(spec: BackboneSpec) -> None:
    items = [_file(_spot(number, 9)) for number in range(20)]
    alone = _embed(spec, items[17:18])[1][0]

    assert _embed(spec, items)[1][17].values.astype(np.float32) == pytest.approx(alone.values, abs=2e-2)


def test_levels_are_what_the_network_computes(weights: Path) -> None:
    torch = pytest.importorskip("torch")
    torchvision = pytest.importorskip("torchvision")
    from safetensors.torch import load_file

    network = torchvision.models.get_model(MODEL).eval()
    network.load_state_dict(load_file(weights))
    image = _spot(20, 30, SIDE)
    preset = torchvision.models.get_model_weights(MODEL).DEFAULT.transforms()
    normal = torchvision.transforms.functional.normalize
    batch = normal(torchvision.transforms.functional.to_tensor(image), preset.mean, preset.std)[None]
    with torch.inference_mode():
        expected = [network.features[:last](batch)[0].numpy() for last in (4, 7, 14)]
        pooled = network.features(batch).mean(dim=(2, 3)).numpy()
    rows, (dense,) = _embed(_spec(MODEL, weights), [_file(image)])

    for level, wanted in zip(unpack(dense).levels, expected, strict=True):
        assert level[: len(wanted)].astype(np.float32) == pytest.approx(wanted, abs=0.01, rel=2e-3)
    assert rows == pytest.approx(pooled, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("convnext_tiny", [96, 192, 384]),
        ("densenet121", [128, 256, 512]),
        ("efficientnet_b0", [24, 40, 112]),
        ("inception_v3", [192, 288, 768]),
        ("mobilenet_v3_large", [24, 40, 112]),
        ("resnet50", [256, 512, 1024]),
        ("squeezenet1_1", [128, 256, 512]),
        ("swin_t", [96, 192, 384]),
        ("vgg11", [256, 512, 512]),
    ],
)
def test_stages_are_found_whatever_the_network(name: str, channels: list[int]) -> None:
    pytest.importorskip("torchvision")
    from labelloop.learning.backbones.map_images import stages_of

    assert [stage.channels for stage in stages_of(name)] == channels


@pytest.mark.parametrize("name", ["vit_b_16", "maxvit_t"])
def test_networks_without_stages_are_refused(name: str) -> None:
    pytest.importorskip("torchvision")
    from labelloop.learning.backbones.map_images import stages_of

    with pytest.raises(LearningError, match=rf"{name} has no maps at a stride of 4 .* such as mobilenet_v3_large"):
        stages_of(name)


@pytest.mark.parametrize("name", ["resnet18", "swin_t", "squeezenet1_1"])
def test_wide_stages_are_mixed_down(name: str, tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    from safetensors.torch import save_file

    path = tmp_path / "wide.safetensors"
    save_file(torchvision.models.get_model(name).state_dict(), path)
    _, (empty, spotted) = _embed(_spec(name, path), [_file(_spot(0, 0)), _file(_spot(30, 30))])

    assert [len(level) for level in unpack(empty).levels] == [48 + 12, 96, 192]
    assert np.abs(empty.values.astype(np.float32) - spotted.values).max() > 0


def test_finest_level_holds_the_colours_of_quarters_of_cells(spec: BackboneSpec) -> None:
    pixels = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    pixels[8:10, 14:16] = (255, 51, 0)
    colours = quarters(Squashed(SIDE, SIDE, pixels), SIDE // 4, SIDE // 4)
    _, (dense,) = _embed(spec, [_file(Image.fromarray(pixels))])

    assert np.argwhere(colours).tolist() == [[1, 2, 3], [5, 2, 3]]
    assert colours[[1, 5], 2, 3] == pytest.approx([1, 0.2])
    assert unpack(dense).levels[0][-12:].astype(np.float32) == pytest.approx(colours, abs=1e-3)


def test_auto_falls_back_to_plain_maps_and_a_name_does_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("torchvision")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    resolved = resolve_backbone(_spec("auto"))

    assert (resolved.name, resolved.id) == ("plain", resolve_backbone(_spec("plain")).id)
    assert "mobilenet_v3_large" in resolved.note
    with pytest.raises(WeightsNotFound):
        resolve_backbone(_spec("resnet50"))


def test_maps_are_kept_apart_from_rows_alone(weights: Path) -> None:
    for name, file in (("plain", ""), (MODEL, weights)):
        ids = {resolve_backbone(_spec(name, file, parts)).id for parts in (Parts.NONE, Parts.MAP)}
        assert len(ids) == 2


def test_numbers_that_half_precision_does_not_hold_are_bounded() -> None:
    level = np.array([[[np.nan, np.inf], [-np.inf, 1e9]]])
    maps = unpack(pack(4, 6, [level, np.ones((2, 1, 1))]))

    assert maps.levels[0].tolist() == [[[0, 65504], [-65504, 65504]]]
    assert (maps.height, maps.width, maps.levels[1].shape) == (4, 6, (2, 1, 1))


@pytest.mark.parametrize("places", [[], [3, 4], [3, 4, 1, 1], [3, 4, 1, 1, 2]])
def test_what_are_no_maps_is_said(places: list[int]) -> None:
    with pytest.raises(LearningError, match="no maps of an image"):
        unpack(Dense(np.zeros(1, dtype=np.float16), np.array(places, dtype=np.int32)))
