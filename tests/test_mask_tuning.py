"""Networks that tell areas are fine-tuned within their budget, and give maps that the quick learner reads."""

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from labelloop.errors import LearningError, NotEnoughLabels, WeightsNotFound
from labelloop.learning import Dense, MasksLearner, Parts, Training, load_backbone, resolve_backbone
from labelloop.learning.backbones.maps import SIDE, pack, unpack
from labelloop.learning.backbones.names import name_number
from labelloop.learning.masks import fitting
from labelloop.learning.tuning import (
    MASK_OPTIONS,
    TUNERS,
    CheckpointFile,
    Conduct,
    Lesson,
    Tuned,
    TuneOptions,
    fine_tune_masks,
    spec_of,
    why_not_masks,
)
from labelloop.records import Kind, Mask, MasksTarget
from labelloop.settings import Settings
from support.made_areas import CLASSES, area_spec, made_areas

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

OPTIONS = TuneOptions(epochs=10, batch=2, at_once=2, head_rate=5e-3, patience=10, threads=1, checkpoint_every=0)
NETWORKS = ("lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large", "deeplabv3_resnet50", "fcn_resnet50")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    items, targets = made_areas(12)
    found = fine_tune_masks(area_spec(), Lesson(items, targets, CLASSES), tmp_path_factory.mktemp("tuned"), OPTIONS)
    assert found is not None
    return found


def _no_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(folder))


def test_the_table_of_tuners_knows_it() -> None:
    tuner = TUNERS[Kind.MASKS]

    assert (tuner.fine_tune, tuner.options, tuner.parts) == (fine_tune_masks, MASK_OPTIONS, Parts.MAP)
    assert tuner.why_not(area_spec(), resolve_backbone(area_spec())) == ""


def test_fine_tuning_lowers_the_loss_and_finds_the_areas(tuned: Tuned) -> None:
    before, after = tuned.epochs[0], tuned.epochs[tuned.best]

    assert after.loss < before.loss / 2
    assert after.accuracy > 0.6
    assert tuned.backbone.name == "unet, fine-tuned"
    assert "began at random weights" in tuned.backbone.note


def test_what_comes_of_it_gives_maps_as_the_learner_reads_them(tuned: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "STEPS", 60)
    items, targets = made_areas(14, seed=1)
    backbone: Any = load_backbone(tuned.spec, tuned.backbone)
    rows, maps = backbone.embed_dense([*items, b"broken"])
    learner = MasksLearner.train(Training(maps[:10], targets[:10], CLASSES))

    assert rows.shape == (15, tuned.backbone.dim)
    assert np.isfinite(rows).all(axis=1).tolist() == [True] * 14 + [False]
    assert maps[-1].values.size == 0
    assert unpack(maps[0]).levels[0].shape == (24 + 4 * len(CLASSES) + 12, 32, 32)
    assert unpack(maps[0]).told == tuple(map(name_number, CLASSES))
    assert learner.evaluate(maps[10:14], targets[10:]).value > 0.7
    assert (backbone.embed(items[:2]) == rows[:2]).all()


def test_its_spec_is_the_folders_and_loads_anywhere(tuned: Tuned, tmp_path: Path) -> None:
    copied = tmp_path / "elsewhere"
    copied.mkdir()
    for file in tuned.folder.iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    spec = spec_of(area_spec(), copied)

    assert spec_of(area_spec(), tuned.folder) == tuned.spec
    assert resolve_backbone(spec).id == tuned.backbone.id
    here, there = (load_backbone(one, tuned.backbone).embed(made_areas(1)[0]) for one in (tuned.spec, spec))
    assert (here == there).all()


def test_a_folder_that_is_broken_says_what_is_wrong(tuned: Tuned, tmp_path: Path) -> None:
    weights, beside = tmp_path / "weights.safetensors", tmp_path / "weights.safetensors.json"
    said = (tuned.folder / beside.name).read_text()
    beside.write_text(said)
    spec = area_spec("auto", str(weights))
    with pytest.raises(WeightsNotFound, match="only their description"):
        resolve_backbone(spec)
    weights.write_bytes((tuned.folder / weights.name).read_bytes())
    beside.write_text(json.dumps(json.loads(said) | {"classes": ["one"]}))
    with pytest.raises(LearningError, match="is not what is said of it"):
        load_backbone(spec, resolve_backbone(spec))
    beside.write_text(json.dumps({"segmenter": "unet"}))
    with pytest.raises(LearningError, match="does not describe a network for areas"):
        resolve_backbone(spec)


def test_a_unet_begins_at_the_weights_of_the_quick_backbone(tmp_path: Path) -> None:
    import torchvision
    from safetensors.torch import load_file, save_file

    path = tmp_path / "made.safetensors"
    save_file(torchvision.models.get_model("mobilenet_v3_small").state_dict(), path)
    items, targets = made_areas(5)
    options = replace(OPTIONS, epochs=1, head_rate=0.0, backbone_rate=0.0)
    spec = area_spec("mobilenet_v3_small", str(path))
    found = fine_tune_masks(spec, Lesson(items, targets, CLASSES), tmp_path, options)
    assert found is not None
    own, old = load_file(found.folder / "weights.safetensors"), load_file(path)

    assert found.best == 0
    assert found.backbone.note == ""
    assert found.backbone.dim == resolve_backbone(spec).dim
    assert (own["encoder.features.0.0.weight"] == old["features.0.0.weight"]).all()
    assert found.epochs[0].loss < 3


@pytest.mark.parametrize("name", NETWORKS)
def test_torchvisions_networks_are_trained_the_same_way(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labelloop.learning.backbones.maps import squash
    from labelloop.learning.backbones.segmented_maps import build_segmenter, levels
    from labelloop.learning.tuning.beginning import begin

    _no_cache(monkeypatch, tmp_path)
    segmenter, described = begin(area_spec(), name, CLASSES, 128)
    image = squash(made_areas(1)[0][0], 128)
    assert image is not None
    with torch.inference_mode():
        seen = segmenter.eval()(torch.rand(1, 3, 128, 128))
    (finest, coarse), whole = levels(seen.features[0].numpy(), seen.logits[0].numpy(), image)

    assert described.note.startswith("It began at random weights. The weights of")
    assert seen.whole.shape == (1, segmenter.dim)
    assert seen.logits.shape[:2] == (1, len(CLASSES))
    assert finest.shape == (12, 32, 32)
    assert coarse.shape == (48 + len(CLASSES), *seen.logits.shape[2:])
    assert whole
    assert (coarse[48:] == seen.logits[0].numpy()).all()
    build_segmenter(described).load_state_dict(segmenter.state_dict())


def test_a_torchvision_network_is_tuned_and_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _no_cache(monkeypatch, tmp_path)
    items, targets = made_areas(3)
    options = replace(OPTIONS, epochs=1, network="lraspp_mobilenet_v3_large", at_once=1)
    found = fine_tune_masks(area_spec(), Lesson(items, targets, CLASSES), tmp_path, options)
    assert found is not None
    backbone: Any = load_backbone(found.spec, found.backbone)
    _, (dense,) = backbone.embed_dense(items[:1])

    assert [level.shape[1] for level in unpack(dense).levels] == [32, 16]


def test_small_images_are_looked_at_in_twice_their_size_and_large_ones_as_the_quick_learner_does() -> None:
    from labelloop.learning.tuning.marked import side_for

    def image(*size: int) -> bytes:
        stream = BytesIO()
        Image.new("RGB", size).save(stream, "PNG")
        return stream.getvalue()

    sides = [side_for([image(*size)]) for size in ((20, 30), (90, 100), (128, 50), (2000, 10))]

    assert sides == [128, 224, 256, SIDE]
    assert side_for([image(20, 20), b"broken", image(90, 90)]) == 192
    assert side_for([b"broken"]) == 128


def test_the_setting_offers_the_networks_there_are() -> None:
    from labelloop.learning.tuning.beginning import NETWORKS

    assert get_args(Settings.model_fields["image_segmenter"].annotation) == NETWORKS


def test_networks_there_are_not_are_named(tmp_path: Path) -> None:
    items, targets = made_areas(3)
    with pytest.raises(LearningError, match="no network for areas 'segnet'; there are auto, unet, lraspp"):
        fine_tune_masks(area_spec(), Lesson(items, targets, CLASSES), tmp_path, replace(OPTIONS, network="segnet"))


def test_gradients_accumulated_over_parts_are_those_of_the_whole() -> None:
    from labelloop.learning.tuning.beginning import begin
    from labelloop.learning.tuning.marked import Marked
    from labelloop.learning.tuning.marking import MarkingSteps

    items, targets = made_areas(3)
    weighted = [replace(target, weight=weight) for target, weight in zip(targets, (0.2, 0.6, 1.0), strict=True)]

    def stepped(at_once: int) -> list[Any]:
        torch.manual_seed(0)
        segmenter, described = begin(area_spec(), "unet", CLASSES, 128)
        options = replace(OPTIONS, at_once=at_once, augmentation="none", warm_up_epochs=0)
        MarkingSteps(segmenter, described, Marked.of(items, weighted, CLASSES, 128), options).step(0, 10)
        return [parameter.grad for parameter in segmenter.parameters() if parameter.grad is not None]

    for whole, parts in zip(stepped(3), stepped(2), strict=True):
        assert torch.allclose(whole, parts, atol=1e-5)


def test_no_more_images_are_open_at_once_than_a_step_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from labelloop.learning.tuning.shelves import Shelf

    taken, take = list[int](), Shelf.take

    def counted(self: Shelf, rows: Any) -> list[Any]:
        taken.append(len(rows))
        return take(self, rows)

    monkeypatch.setattr(Shelf, "take", counted)
    items, targets = made_areas(8)
    assert fine_tune_masks(area_spec(), Lesson(items, targets, CLASSES), tmp_path, replace(OPTIONS, epochs=1))
    assert max(taken) == OPTIONS.at_once


@pytest.mark.parametrize("flip", [False, True])
def test_images_and_areas_are_moved_alike(flip: bool) -> None:
    from labelloop.learning.tuning.marked import Reach, otherwise

    torch.manual_seed(3)
    areas = torch.zeros(8, 1, 40, 40)
    areas[:, :, 8:20, 12:24] = 1
    images = areas.expand(-1, 3, -1, -1)
    seen, told = otherwise(images, areas, Reach(zoom=1.4, shape=1.1, turn=0.4, colour=1.0), flip=flip)

    assert torch.allclose(seen[:, :1], told, atol=1e-5)
    assert (told - areas).abs().mean(dim=(1, 2, 3)).min() > 0.01
    still, same = otherwise(images, areas, Reach(zoom=1.0, shape=1.0, turn=0.0, colour=1.0), flip=False)
    assert torch.allclose(still, images, atol=1e-4)
    assert torch.allclose(same, areas, atol=1e-4)


def test_mirroring_is_seen_only_where_it_is_allowed() -> None:
    from labelloop.learning.tuning.marked import Reach, otherwise

    left = torch.zeros(16, 1, 20, 20)
    left[..., :10] = 1
    nothing = Reach(zoom=1.0, shape=1.0, turn=0.0, colour=1.0)
    torch.manual_seed(0)
    _, mirrored = otherwise(left.expand(-1, 3, -1, -1), left, nothing, flip=True)
    on_the_left = mirrored[:, 0, :, :9].mean(dim=(1, 2)) > 0.5

    assert 0 < on_the_left.sum() < 16


def test_classes_that_overlap_are_told_each_for_itself() -> None:
    from labelloop.learning.tuning.marked import Marked

    inside = np.zeros((64, 64), dtype=bool)
    inside[:32] = True
    target = MasksTarget((Mask.of("disc", inside), Mask.of("bar", inside.T), Mask.of("gone", inside)))
    marked = Marked.of(made_areas(1)[0], [target], CLASSES, 128)
    ((pixels, areas),) = marked.shelf.take([0])

    assert pixels.shape == (3, 128, 128)
    assert (areas[0, :32] == 255).all() and (areas[0, 32:] == 0).all()
    assert (areas[1, :, :32] == 255).all() and (areas[1, :, 32:] == 0).all()


def test_where_there_is_nothing_finding_nothing_is_right() -> None:
    from labelloop.learning.tuning.marking import _losses, _right

    nothing, low, high = torch.zeros(1, 2, 8, 8), torch.full((1, 2, 8, 8), -9.0), torch.full((1, 2, 8, 8), 9.0)

    assert _right(low > 0, nothing > 0.5).item() == 1
    assert _right(high > 0, nothing > 0.5).item() == 0
    assert _losses(low, nothing).item() < 0.001 < 8 < _losses(high, nothing).item()
    small = nothing.clone()
    small[0, 0, :2, :2] = 1
    assert _losses(low, small).item() > 0.8


def test_it_ends_within_its_budget_with_what_it_reached(tmp_path: Path) -> None:
    items, targets = made_areas(5)
    options = replace(OPTIONS, epochs=500, seconds=0.5)
    found = fine_tune_masks(area_spec(), Lesson(items, targets, CLASSES), tmp_path, options)

    assert found is not None
    assert found.ended == "budget"
    assert len(found.epochs) < 10


def test_giving_way_leaves_a_checkpoint_and_nothing_else(tmp_path: Path) -> None:
    keeper = CheckpointFile(tmp_path / "checkpoint")
    lesson = Lesson(*made_areas(5), CLASSES)

    assert (
        fine_tune_masks(area_spec(), lesson, tmp_path, OPTIONS, Conduct(keeper=keeper, give_way=lambda: True)) is None
    )
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]


def test_too_little_to_learn_is_named_so(tmp_path: Path) -> None:
    items, targets = made_areas(4)
    nothing = [MasksTarget(())] * 4
    with pytest.raises(NotEnoughLabels, match="at least two different labelled items"):
        fine_tune_masks(area_spec(), Lesson(items[:1], targets[:1], CLASSES), tmp_path, OPTIONS)
    with pytest.raises(NotEnoughLabels, match="has an area yet"):
        fine_tune_masks(area_spec(), Lesson(items, nothing, CLASSES), tmp_path, OPTIONS)
    with pytest.raises(LearningError, match="1 targets for 2 items"):
        fine_tune_masks(area_spec(), Lesson(items[:2], targets[:1], CLASSES), tmp_path, OPTIONS)
    with pytest.raises(LearningError, match="None of the images"):
        broken = [b"a", b"b", b"c", b"d"]
        fine_tune_masks(area_spec(), Lesson(broken, targets, CLASSES), tmp_path, OPTIONS)


def test_images_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    items, targets = made_areas(6)
    items[1] = b"broken"
    options = replace(OPTIONS, epochs=1, batch=1, at_once=1)
    found = fine_tune_masks(area_spec(), Lesson(items, targets, CLASSES), tmp_path, options)

    assert found is not None
    assert np.isfinite([note.loss for note in found.epochs]).all()


def test_joined_backbones_are_not_tuned() -> None:
    joined = replace(resolve_backbone(area_spec()), blocks=(1, 2))

    assert "Joined backbones" in why_not_masks(area_spec(), joined)


def test_images_it_was_taught_are_known_and_those_that_decided_are_not(tuned: Tuned) -> None:
    backbone: Any = load_backbone(tuned.spec, tuned.backbone)
    _, maps = backbone.embed_dense([*made_areas(12)[0], *made_areas(1, seed=9)[0]])
    taught = [unpack(dense).taught for dense in maps]

    assert sum(taught) == 12 - tuned.validation
    assert not taught[-1]


def test_maps_of_images_it_was_taught_do_not_make_a_learner_sure_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "STEPS", 40)
    truth = np.random.default_rng(0).random((24, 8, 8)) < 0.4
    targets = [MasksTarget((Mask.of("disc", inside),)) for inside in truth]

    def learner(*, marked: bool) -> tuple[MasksLearner, list[Dense]]:
        rng, maps = np.random.default_rng(1), []
        for number, inside in enumerate(truth):
            # Of what it was taught a backbone says what is right, of a third of other places what is wrong.
            wrong = (rng.random((8, 8)) < 0.3) & (number >= 12)
            said = np.where(inside ^ wrong, 4.0, -4.0).astype(np.float32)
            maps.append(pack(8, 8, [np.stack([said] * 8)], taught=marked and number < 12))
        return MasksLearner.train(Training(maps[:18], targets[:18], CLASSES)), maps[18:]

    (honest, asked), (fooled, _) = learner(marked=True), learner(marked=False)
    sure, too_sure = (np.mean([one.confidence for one in model.predict(asked)]) for model in (honest, fooled))

    assert honest.cv_metrics is not None
    assert fooled.cv_metrics is not None
    assert (honest.cv_metrics.items, fooled.cv_metrics.items) == (6, 18)
    assert honest.cv_metrics.value < fooled.cv_metrics.value - 0.1
    assert sure < too_sure - 0.03
