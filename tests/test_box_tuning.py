"""A detector is fine-tuned within its budget on what people drew."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning import BackboneSpec, Parts, Training, load_backbone, resolve_backbone
from labelloop.learning.backbones.detections import read_detections
from labelloop.learning.backbones.taught import TAUGHT, digest_of
from labelloop.learning.boxes import DetectedBoxesLearner
from labelloop.learning.tuning import (
    TUNERS,
    CheckpointFile,
    Conduct,
    Lesson,
    Tuned,
    TuneOptions,
    fine_tune_boxes,
    spec_of,
)
from labelloop.records import Box, BoxesTarget, Kind, Modality
from support.made_detectors import CLASSES, detector_spec, made_detector, made_pictures

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

QUICK = BackboneSpec(Modality.IMAGE, "plain", device="cpu", offline=True, parts=Parts.MAP)
OPTIONS = TuneOptions(
    epochs=6, batch=4, at_once=4, head_rate=3e-3, backbone_rate=1e-3, patience=6, threads=1, checkpoint_every=0
)
LESSON = Lesson(*made_pictures(30), CLASSES)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_detector(tmp_path_factory.mktemp("made") / "detector", ("another",))


@pytest.fixture(scope="module")
def tuned(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    found = fine_tune_boxes(QUICK, LESSON, tmp_path_factory.mktemp("tuned"), replace(OPTIONS, network=str(made)))
    assert found is not None
    return found


def test_fine_tuning_lowers_the_loss_and_finds_more_of_what_people_drew(tuned: Tuned) -> None:
    before, after = tuned.epochs[0], tuned.epochs[tuned.best]

    assert after.loss < 0.7 * before.loss
    assert after.accuracy > before.accuracy
    assert str(tuned).startswith("fcos_mobilenet_v3_small, fine-tuned: ")
    assert TUNERS[Kind.BOXES].parts is tuned.spec.parts is Parts.OUTPUT
    assert spec_of(replace(QUICK, parts=Parts.OUTPUT), tuned.folder) == tuned.spec
    assert resolve_backbone(tuned.spec).id == tuned.backbone.id


def test_it_finds_the_labels_in_new_images(tuned: Tuned) -> None:
    pictures, targets = made_pictures(20, seed=1)
    backbone = load_backbone(tuned.spec, tuned.backbone)
    _, own = backbone.embed_dense(LESSON.items)  # type: ignore[attr-defined]
    _, new = backbone.embed_dense(pictures)  # type: ignore[attr-defined]
    learner = DetectedBoxesLearner.train(Training(own, LESSON.targets, CLASSES))

    assert sum(read_detections(one).taught for one in own) == len(LESSON.items) - tuned.validation
    assert not any(read_detections(one).taught for one in new)
    assert learner.cv_metrics is not None
    assert learner.cv_metrics.items == tuned.validation
    assert learner.evaluate(new, targets).value > 0.1


def test_where_nothing_is_gained_nothing_counts_as_taught(made: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, epochs=1, head_rate=0.0, backbone_rate=0.0, network=str(made))
    found = fine_tune_boxes(QUICK, LESSON, tmp_path, options)

    assert found is not None
    assert found.best == 0
    assert json.loads((found.folder / TAUGHT).read_text()) == []


def test_a_tuned_detector_remembers_what_it_learnt_when_it_is_tuned_again(tuned: Tuned, tmp_path: Path) -> None:
    lesson = Lesson(*made_pictures(8, seed=3), CLASSES)
    again = fine_tune_boxes(QUICK, lesson, tmp_path, replace(OPTIONS, epochs=1, network=str(tuned.folder)))

    assert again is not None
    assert again.epochs[0].loss < tuned.epochs[0].loss
    assert set(json.loads((tuned.folder / TAUGHT).read_text())) <= set(json.loads((again.folder / TAUGHT).read_text()))


def test_it_ends_within_its_budget_with_what_it_reached(made: Path, tmp_path: Path) -> None:
    found = fine_tune_boxes(QUICK, LESSON, tmp_path, replace(OPTIONS, epochs=500, seconds=0.5, network=str(made)))

    assert found is not None
    assert found.ended == "budget"


def test_giving_way_leaves_a_checkpoint_and_nothing_else(made: Path, tmp_path: Path) -> None:
    keeper = CheckpointFile(tmp_path / "checkpoint")
    options = replace(OPTIONS, network=str(made))

    assert fine_tune_boxes(QUICK, LESSON, tmp_path, options, Conduct(keeper=keeper, give_way=lambda: True)) is None
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]


def test_the_encoder_starts_from_the_quick_backbones_weights(tmp_path: Path) -> None:
    from safetensors.torch import save_file
    from torchvision.models import get_model

    from labelloop.learning.tuning.detector_start import start_detector

    weights = tmp_path / "own.safetensors"
    classifier = get_model("mobilenet_v3_small")
    save_file(classifier.state_dict(), weights)
    said = {"model": "mobilenet_v3_small", "mean": [0.5] * 3, "std": [0.25] * 3}
    (tmp_path / "own.safetensors.json").write_text(json.dumps(said))
    spec = BackboneSpec(Modality.IMAGE, "auto", str(weights), device="cpu", offline=True, parts=Parts.MAP)
    start = start_detector(spec, resolve_backbone(spec), CLASSES, "auto")
    body = start.network.backbone.body

    assert start.design.architecture == "fcos_mobilenet_v3_small"
    assert (start.design.mean, start.design.std) == ((0.5,) * 3, (0.25,) * 3)
    assert torch.equal(body["12"][0].weight, classifier.features[12][0].weight)
    learning = [any(p.requires_grad for p in step.parameters()) for step in body.children()]
    assert learning == sorted(learning), "what comes first is left as it is"
    assert 0 < sum(learning) < len(learning)
    named = start_detector(spec, resolve_backbone(spec), CLASSES, "retinanet_mobilenet_v3_small")
    assert torch.equal(named.network.backbone.body["12"][0].weight, classifier.features[12][0].weight)


def test_a_detector_that_pre_annotates_already_is_what_is_tuned(made: Path) -> None:
    from labelloop.learning.backbones.local_weights import read_state
    from labelloop.learning.tuning.detector_start import start_detector

    spec = detector_spec(made)
    start = start_detector(spec, resolve_backbone(spec), CLASSES, "auto")
    before, now = read_state(made / "weights.safetensors"), start.network.state_dict()
    other = {name for name, tensor in before.items() if now[name].shape != tensor.shape}

    assert start.design.classes == CLASSES
    assert all("cls_logits" in name for name in other), "its classes are others, and all else is kept"
    assert all(torch.equal(now[name], tensor) for name, tensor in before.items() if name not in other)


def test_without_weights_it_starts_from_random_ones_and_says_so() -> None:
    from labelloop.learning.tuning.detector_start import start_detector

    for name in ("auto", "ssdlite320_mobilenet_v3_large"):
        start = start_detector(QUICK, resolve_backbone(QUICK), CLASSES, name)
        assert "random weights" in start.design.note
        assert all(parameter.requires_grad for parameter in start.network.parameters())


def test_what_cannot_be_learnt_from_is_named(made: Path, tmp_path: Path) -> None:
    pictures, targets = made_pictures(3)
    with pytest.raises(LearningError, match="no detector 'yolo'"):
        fine_tune_boxes(QUICK, LESSON, tmp_path, replace(OPTIONS, network="yolo"))
    with pytest.raises(NotEnoughLabels, match="at least two different"):
        fine_tune_boxes(QUICK, Lesson(pictures[:1], targets[:1], CLASSES), tmp_path)
    with pytest.raises(NotEnoughLabels, match="has a box"):
        fine_tune_boxes(QUICK, Lesson(pictures, [BoxesTarget(())] * 3, CLASSES), tmp_path)


def test_broken_images_are_passed_over(made: Path, tmp_path: Path) -> None:
    pictures, targets = made_pictures(6)
    lesson = Lesson([b"broken", *pictures], [targets[0], *targets], CLASSES, [b"bad", pictures[0]], targets[:2])
    found = fine_tune_boxes(QUICK, lesson, tmp_path, replace(OPTIONS, epochs=1, network=str(made)))

    assert found is not None
    assert np.isfinite([note.loss for note in found.epochs]).all()


@pytest.mark.parametrize("augmentation", ["none", "weak", "strong"])
def test_boxes_are_framed_with_their_image(augmentation: str) -> None:
    from labelloop.learning.tuning.framing import Framing

    pixels = np.full((40, 60, 3), 120, dtype=np.uint8)
    pixels[10:20, 30:45] = (255, 0, 0)
    corners, columns = np.array([[30 / 60, 10 / 40, 45 / 60, 20 / 40]]), np.array([1])
    torch.manual_seed(0)
    shown = [Framing(augmentation, flip=True)(pixels, corners, columns) for _ in range(20)]

    for image, boxes in shown:
        assert image.shape == (3, 40, 60)
        assert 0 <= image.min() <= image.max() <= 1
        assert boxes["labels"].tolist() == [2]
        left, top, right, bottom = boxes["boxes"][0].tolist()
        red = image[0] - image[1] > 0.25
        inside = red[round(top) : round(bottom), round(left) : round(right)]
        assert inside.float().mean() > 0.8
        assert inside.sum() > 0.8 * red.sum()
    if augmentation == "none":
        assert torch.equal(shown[0][0], shown[1][0])
    image, boxes = Framing(augmentation)(pixels, corners[:0], columns[:0])
    assert boxes["boxes"].shape == (0, 4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1333), (2, 2)])
def test_the_thinnest_images_are_framed(shape: tuple[int, int]) -> None:
    from labelloop.learning.tuning.framing import Framing

    torch.manual_seed(0)
    pixels, corners = np.zeros((*shape, 3), np.uint8), np.array([[0.0, 0.0, 1.0, 1.0]])
    shown = [Framing("weak")(pixels, corners, np.array([0])) for _ in range(20)]

    assert {tuple(image.shape) for image, _ in shown} == {(3, *shape)}


def test_turned_boxes_are_learnt_as_what_encloses_them() -> None:
    from labelloop.learning.backbones.maps import Squashed
    from labelloop.learning.tuning.detecting import Drawn
    from labelloop.learning.tuning.shelves import Shelf

    image = Squashed(100, 200, np.zeros((64, 64, 3), np.uint8))
    target = BoxesTarget((Box("red", 0.5, 0.2, 0.1, 0.4, rotation=90.0), Box("gone", 0.1, 0.1, 0.2, 0.2)))
    ((_, truth),) = Drawn(Shelf([b""], lambda _: (image, 1)), [target], CLASSES).take([0])

    assert np.allclose(truth.corners, [[0.3, 0.2, 0.5, 0.4]])


def test_what_is_learnt_from_is_named_by_its_bytes(tuned: Tuned) -> None:
    assert set(json.loads((tuned.folder / TAUGHT).read_text())) <= {digest_of(item) for item in LESSON.items}
    assert detector_spec(tuned.folder) == tuned.spec
