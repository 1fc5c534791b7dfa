"""Image backbones of torchvision: with weights made here, never downloaded."""

import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labelloop.errors import LearningError, WeightsNotFound
from labelloop.learning import BackboneSpec, load_backbone, resolve_backbone
from labelloop.learning.backbones.torch_running import pick_device, run_in_batches
from labelloop.learning.backbones.torchvision_models import _cut
from labelloop.records import Modality

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")
MODEL = "squeezenet1_1"
SHARED_WEIGHTS = Path(__file__).parents[2] / "shared" / "data" / "weights"


@pytest.fixture(autouse=True)
def _no_downloaded_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    return torchvision.models.get_model(MODEL).eval()


@pytest.fixture
def weights(network: Any, tmp_path: Path) -> Path:
    from safetensors.torch import save_file

    path = tmp_path / "weights.safetensors"
    save_file(network.state_dict(), path)
    return path


def _spec(name: str = MODEL, weights: Path | str = "", **options: Any) -> BackboneSpec:
    return BackboneSpec(Modality.IMAGE, name, str(weights), **{"device": "cpu", "offline": True, **options})


def _embed(spec: BackboneSpec, items: list[bytes]) -> np.ndarray:
    return load_backbone(spec, resolve_backbone(spec)).embed(items)


def _image(width: int = 300, height: int = 260, seed: int = 0) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def _png(image: Image.Image) -> bytes:
    stream = BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def test_features_are_what_torchvision_pools(network: Any, weights: Path) -> None:
    transform = torchvision.models.get_model_weights(MODEL).DEFAULT.transforms()
    with torch.inference_mode():
        expected = network.features(transform(_image()).unsqueeze(0)).mean(dim=(2, 3)).numpy()

    assert _embed(_spec(weights=weights), [_png(_image())]) == pytest.approx(expected, abs=1e-4)


def test_row_order_broken_images_and_progress(weights: Path) -> None:
    spec = _spec(weights=weights)
    backbone = load_backbone(spec, resolve_backbone(spec))
    items = [_png(_image(seed=number)) for number in range(40)]
    items[35] = b"broken"
    told: list[int] = []
    rows = backbone.embed(items, told.append)

    assert rows.shape == (40, 512)
    assert rows.dtype == np.float32
    assert np.isnan(rows).all(axis=1).nonzero()[0].tolist() == [35]
    assert rows[38] == pytest.approx(backbone.embed(items[38:39])[0], abs=1e-4)
    assert told == [32, 40]
    assert backbone.embed([]).shape == (0, 512)
    assert np.isnan(backbone.embed([b"broken"])).all()


def test_thin_strip_is_seen_as_its_middle(weights: Path) -> None:
    strip = _image(20_000, 4)
    middle = strip.crop((9996, 0, 10_004, 4))

    one, other = _embed(_spec(weights=weights), [_png(strip), _png(middle)])
    assert one == pytest.approx(other, abs=1e-5)


def test_state_dict_of_torch_gives_the_same_features_as_safetensors(network: Any, weights: Path) -> None:
    pth = weights.with_suffix(".pth")
    torch.save(network.state_dict(), pth)

    assert (_embed(_spec(weights=pth), [_png(_image())]) == _embed(_spec(weights=weights), [_png(_image())])).all()


def test_pickled_code_is_not_run(weights: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(weights.parent / "trapped"),))

    torch.save({"conv": Trap()}, weights.with_suffix(".pth"))

    with pytest.raises(LearningError, match="not a state dict that can be read safely"):
        _embed(_spec(weights=weights.with_suffix(".pth")), [])
    assert not (weights.parent / "trapped").exists()


def test_head_of_other_classes_does_not_matter(weights: Path) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(1)
    own = torchvision.models.get_model("resnet18", num_classes=3).eval()
    path = weights.with_name("own.safetensors")
    save_file(own.state_dict(), path)

    assert _embed(_spec("resnet18", path), [_png(_image())]).shape == (1, 512)


def test_preparation_said_beside_the_weights_is_followed(network: Any, weights: Path) -> None:
    plain = resolve_backbone(_spec(weights=weights))
    said = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "size": 96, "crop": 96}
    weights.with_name(weights.name + ".json").write_text(json.dumps(said), encoding="utf-8")
    square = _image(96, 96)
    pixels = torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1).unsqueeze(0) / 127.5 - 1
    with torch.inference_mode():
        expected = network.features(pixels).mean(dim=(2, 3)).numpy()

    assert _embed(_spec(weights=weights), [_png(square)]) == pytest.approx(expected, abs=1e-4)
    assert resolve_backbone(_spec(weights=weights)).id != plain.id


def test_preparation_may_be_said_inside_safetensors(network: Any, weights: Path) -> None:
    from safetensors.torch import save_file

    inside = weights.with_name("inside.safetensors")
    save_file(
        network.state_dict(), inside, metadata={"mean": "[0.5, 0.5, 0.5]", "crop": "96", "model": MODEL, "by": "me"}
    )
    before = _embed(_spec(weights=weights), [_png(_image())])

    assert np.abs(_embed(_spec(weights=inside), [_png(_image())]) - before).max() > 1e-3
    assert resolve_backbone(_spec("auto", inside)).name == MODEL


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ('{"mean": 0.5}', "'mean' must be three numbers"),
        ('{"std": [1, 1, 0]}', "'std' must be three numbers"),
        ('{"crop": "big"}', "'crop' must be a number of pixels"),
        ('{"size": -1}', "'size' must be a number of pixels"),
        ("[1]", "one JSON object"),
        ("{", "is not JSON"),
    ],
)
def test_wrong_preparation_is_named(weights: Path, said: str, message: str) -> None:
    weights.with_name(weights.name + ".json").write_text(said, encoding="utf-8")

    with pytest.raises(LearningError, match=message):
        resolve_backbone(_spec("auto", weights))


def test_id_is_a_directory_name_that_follows_the_content(network: Any, weights: Path) -> None:
    from safetensors.torch import save_file

    first = resolve_backbone(_spec(weights=weights)).id
    copy = weights.with_name("elsewhere.safetensors")
    copy.write_bytes(weights.read_bytes())
    changed = {name: tensor + 1 for name, tensor in network.state_dict().items()}
    save_file(changed, weights)

    assert resolve_backbone(_spec(weights=copy)).id == first
    assert resolve_backbone(_spec(weights=weights)).id != first
    assert set(first) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")


def test_features_of_other_weights_are_not_mixed_in(network: Any, weights: Path) -> None:
    from safetensors.torch import save_file

    resolved = resolve_backbone(_spec(weights=weights))
    save_file({name: tensor + 1 for name, tensor in network.state_dict().items()}, weights)

    with pytest.raises(LearningError, match="use the same weights everywhere"):
        load_backbone(_spec(weights=weights), resolved)


def test_weights_of_another_model_are_refused(weights: Path) -> None:
    with pytest.raises(LearningError, match="not of the model resnet18"):
        _embed(_spec("resnet18", weights), [])
    with pytest.raises(LearningError, match="does not fit squeezenet1_0"):
        _embed(_spec("squeezenet1_0", weights), [])


def test_missing_or_unreadable_weights_are_said(weights: Path) -> None:
    weights.write_bytes(b"nonsense")

    with pytest.raises(LearningError, match="not a safetensors file"):
        resolve_backbone(_spec(weights=weights))
    with pytest.raises(WeightsNotFound, match="no weights at"):
        resolve_backbone(_spec("auto", weights.with_name("none.pth")))


def test_auto_falls_back_with_a_note_and_a_name_does_not() -> None:
    resolved = resolve_backbone(_spec("auto"))

    assert resolved.name == "plain"
    assert "mobilenet_v3_large" in resolved.note
    assert load_backbone(_spec("auto"), resolved).id == resolved.id
    with pytest.raises(WeightsNotFound, match="weights of resnet50 are not on this machine"):
        resolve_backbone(_spec("resnet50"))


def test_unknown_name_says_what_there_is() -> None:
    with pytest.raises(LearningError, match=r"There is no image backbone 'resnet5o'.*auto, plain.*resnet50"):
        resolve_backbone(_spec("resnet5o"))


def test_usual_weights_in_the_cache_are_used(network: Any) -> None:
    usual = torchvision.models.get_model_weights(MODEL).DEFAULT
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(usual.url).name
    cached.parent.mkdir(parents=True)
    torch.save(network.state_dict(), cached)

    assert _embed(_spec(), [_png(_image())]).shape == (1, 512)


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("alexnet", 4096),
        ("convnext_tiny", 768),
        ("densenet121", 1024),
        ("efficientnet_b0", 1280),
        ("googlenet", 1024),
        ("maxvit_t", 512),
        ("mobilenet_v2", 1280),
        ("mobilenet_v3_large", 960),
        ("resnet50", 2048),
        ("squeezenet1_0", 512),
        ("swin_t", 768),
        ("vgg11", 4096),
        ("vit_b_16", 768),
    ],
)
@pytest.mark.filterwarnings("ignore:The default weight initialization")
def test_classifier_is_cut_at_its_features(name: str, width: int) -> None:
    with torch.device("meta"), torch.inference_mode():
        network, said = _cut(torchvision.models.get_model(name))
        rows = network.eval()(torch.zeros(2, 3, 224, 224))

    assert said == width
    assert rows.shape == (2, width)


def test_model_whose_layers_are_sized_by_tensors_is_found(weights: Path) -> None:
    from safetensors.torch import save_file

    path = weights.with_name("regnet.safetensors")
    save_file(torchvision.models.get_model("regnet_y_400mf").state_dict(), path)

    assert resolve_backbone(_spec("regnet_y_400mf", path)).dim == 440


def test_what_does_not_fit_is_tried_in_halves() -> None:
    done: list[tuple[int, int]] = []

    def run(start: int, stop: int) -> None:
        if stop - start > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        done.append((start, stop))

    run_in_batches(10, 8, run)
    assert done == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]


def test_one_item_that_does_not_fit_and_other_errors_are_raised() -> None:
    def too_large(start: int, stop: int) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    def wrong(start: int, stop: int) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(LearningError, match="too little memory for one item"):
        run_in_batches(4, 4, too_large)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run_in_batches(4, 4, wrong)


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_device_that_is_not_here_is_said(device: str) -> None:
    with pytest.raises(LearningError, match=f"no device '{device}'"):
        pick_device(device)


def test_embeds_in_a_forked_process(weights: Path) -> None:
    image = weights.with_name("image.png")
    image.write_bytes(_png(_image()))
    code = f"""
import os, sys
from pathlib import Path
import numpy as np
from labelloop.learning import BackboneSpec, load_backbone, resolve_backbone
from labelloop.records import Modality
spec = BackboneSpec(Modality.IMAGE, {MODEL!r}, {str(weights)!r}, "cpu", True)
resolved = resolve_backbone(spec)
image = Path({str(image)!r}).read_bytes()
load_backbone(spec, resolved).embed([image] * 4)
child = os.fork()
if child == 0:
    os._exit(0 if np.isfinite(load_backbone(spec, resolved).embed([image] * 4)).all() else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env={"PYTHONPATH": ":".join(sys.path)})


@pytest.mark.skipif(not SHARED_WEIGHTS.is_dir(), reason="needs the shared sample weights")
def test_real_weights_tell_real_images_apart(tmp_path: Path) -> None:
    weights = tmp_path / "mobilenet_v2.safetensors"
    weights.write_bytes((SHARED_WEIGHTS / "mobilenet_v2.safetensors").read_bytes())
    said = {"model": "mobilenet_v2", "mean": [0.5] * 3, "std": [0.5] * 3, "size": 256, "crop": 224}
    weights.with_name(weights.name + ".json").write_text(json.dumps(said), encoding="utf-8")
    images = SHARED_WEIGHTS.parent / "images" / "trashnet5"
    files = [file for kind in ("cardboard", "glass") for file in sorted((images / kind).iterdir())[:12]]
    rows = _embed(_spec("auto", weights), [file.read_bytes() for file in files])
    rows -= rows.mean(axis=0)
    centres = np.stack([rows[:6].mean(axis=0), rows[12:18].mean(axis=0)])
    nearest = np.linalg.norm(rows[:, None] - centres, axis=2).argmin(axis=1)

    assert rows.shape == (24, 1280)
    assert ((nearest[6:12] == 0).sum() + (nearest[18:] == 1).sum()) >= 10
