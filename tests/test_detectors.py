"""torchvision's detectors as backbones, with weights made here."""

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from labelloop.errors import LearningError, WeightsNotFound
from labelloop.learning import BackboneSpec, Dense, Parts, Training, load_backbone, resolve_backbone
from labelloop.learning.backbones.detected_images import PLAIN_DETECTIONS
from labelloop.learning.backbones.detections import read_detections
from labelloop.learning.backbones.names import name_number
from labelloop.learning.backbones.taught import write_taught
from labelloop.learning.boxes import DetectedBoxesLearner
from labelloop.records import Modality
from support.made_detectors import CLASSES, detector_spec, made_detector, made_pictures

pytest.importorskip("torchvision")

PICTURES, _ = made_pictures(6)
SSDLITE = "ssdlite320_mobilenet_v3_large"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_detector(tmp_path_factory.mktemp("made") / "detector")


def embedded(spec: BackboneSpec, items: list[bytes]) -> tuple[np.ndarray, list[Dense]]:
    backbone: Any = load_backbone(spec, resolve_backbone(spec))
    rows, parts = backbone.embed_dense(items)
    return rows, parts


def test_a_detector_says_of_each_image_what_it_finds(made: Path) -> None:
    spec = detector_spec(made)
    rows, parts = embedded(spec, [*PICTURES, b"broken"])
    found = [read_detections(one) for one in parts[:-1]]

    assert rows.shape == (len(PICTURES) + 1, resolve_backbone(spec).dim)
    assert np.isfinite(rows[:-1]).all()
    assert np.isnan(rows[-1]).all()
    assert parts[-1].values.size == 0
    assert {(one.height, one.width) for one in found} == {(64, 96)}
    assert any(one.names.size for one in found)
    assert {number for one in found for number in one.names.tolist()} <= set(map(name_number, CLASSES))
    assert all(np.allclose(one.row, row, rtol=1e-2, atol=1e-3) for one, row in zip(found, rows, strict=False))
    assert not any(one.taught for one in found)
    assert max(one.values.nbytes + one.places.nbytes for one in parts) < 20_000


def test_an_image_is_looked_at_as_it_is_shown(made: Path) -> None:
    upright = Image.open(BytesIO(PICTURES[0])).resize((96, 64), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    files = []
    for image, options in ((upright, {}), (upright.transpose(Image.Transpose.ROTATE_90), {"exif": exif})):
        stream = BytesIO()
        image.save(stream, "JPEG", quality=100, subsampling=0, **options)
        files.append(stream.getvalue())
    _, (plain, turned) = embedded(detector_spec(made), files)

    assert (read_detections(turned).height, read_detections(turned).width) == (64, 96)
    assert np.abs(read_detections(turned).row - read_detections(plain).row).max() < 0.05


def test_its_id_is_that_of_its_weights_and_not_of_its_place(made: Path, tmp_path: Path) -> None:
    other = made_detector(tmp_path / made.name)
    assert resolve_backbone(detector_spec(other)).id == resolve_backbone(detector_spec(made)).id
    write_taught(other, PICTURES[:1], None)
    assert resolve_backbone(detector_spec(other)).id != resolve_backbone(detector_spec(made)).id
    _, (known, new) = embedded(detector_spec(other), PICTURES[:2])
    assert read_detections(known).taught
    assert not read_detections(new).taught
    with pytest.raises(LearningError, match="use the same weights everywhere"):
        load_backbone(detector_spec(other), resolve_backbone(detector_spec(made)))


def test_a_detector_that_knows_the_labels_pre_annotates_before_anything_is_labelled(tmp_path: Path) -> None:
    folder = made_detector(tmp_path / "stock", ("person", "cell", "traffic light"), SSDLITE)
    _, parts = embedded(detector_spec(folder), PICTURES[:2])
    learner = DetectedBoxesLearner.train(Training([], [], ("Cell", "nothing it knows")))
    learner.scoring = replace(learner.scoring, threshold=0.0)

    assert {box.label for said in learner.predict(parts) for box in said.boxes} == {"Cell"}


@pytest.mark.parametrize(
    "architecture", ["fcos_resnet18", "retinanet_mobilenet_v3_small", "fasterrcnn_mobilenet_v3_small", SSDLITE]
)
def test_each_family_learns_from_boxes_and_from_none_and_finds_some(architecture: str) -> None:
    import torch

    from labelloop.learning.backbones.detector_networks import build_detector, hold_still, width_of
    from labelloop.learning.backbones.detectors import Design

    design = Design(architecture, CLASSES, 0 if architecture == SSDLITE else 64)
    network = build_detector(design)
    images = [torch.rand(3, 64, 64), torch.rand(3, 64, 64)]
    there = {"boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]), "labels": torch.tensor([1])}
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    network.train()
    hold_still(network)
    for targets in ([there, nothing], [nothing, nothing]):
        loss = sum(network(images, targets).values())
        loss.backward()
        assert torch.isfinite(loss)
    assert all(set(found) == {"boxes", "scores", "labels"} for found in network.eval()(images))
    assert width_of(design) > 64


def test_dicom_images_are_looked_at_too(made: Path) -> None:
    pytest.importorskip("pydicom")
    from support.medical import dicom

    ramp = np.tile(np.arange(256), (64, 1)).astype(np.uint16)
    _, (part,) = embedded(detector_spec(made), [dicom(ramp, bits=12)])
    maps = replace(detector_spec("plain"), parts=Parts.MAP)
    _, (grid,) = embedded(maps, [dicom(ramp, bits=12)])

    assert (read_detections(part).height, read_detections(part).width) == (64, 256)
    assert grid.places[:2].tolist() == [64, 256]


def test_what_is_no_detector_is_named_so(made: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFound, match=SSDLITE):
        resolve_backbone(detector_spec(SSDLITE))
    with pytest.raises(LearningError, match="no detector 'yolo'"):
        resolve_backbone(detector_spec("yolo"))
    with pytest.raises(LearningError, match="is not a detector"):
        resolve_backbone(detector_spec(tmp_path))
    for wrong in (
        {"architecture": "fcos_nothing", "classes": ["a"]},
        {"architecture": "fcos_vit_b_16", "classes": ["a"], "side": 64},
    ):
        (tmp_path / "config.json").write_text(json.dumps(wrong))
        with pytest.raises(LearningError, match=r"no detector 'fcos_nothing'|can be built on vit_b_16"):
            resolve_backbone(detector_spec(tmp_path))
    said = json.loads((made / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(said | {"classes": []}))
    with pytest.raises(LearningError, match="names of `classes`"):
        resolve_backbone(detector_spec(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(said | {"classes": ["one", "two", "three"]}))
    (tmp_path / "weights.safetensors").write_bytes((made / "weights.safetensors").read_bytes())
    with pytest.raises(LearningError, match="does not fit"):
        load_backbone(detector_spec(tmp_path), resolve_backbone(detector_spec(tmp_path)))


def test_without_a_detector_nothing_is_found_and_that_is_said() -> None:
    spec = BackboneSpec(Modality.IMAGE, "auto", offline=True, parts=Parts.OUTPUT)
    found = resolve_backbone(spec)
    rows, parts = embedded(spec, [*PICTURES[:2], b"broken"])

    assert found.id == PLAIN_DETECTIONS.id
    assert "name one of torchvision's" in found.note
    assert rows.shape == (3, found.dim)
    assert [read_detections(one).names.size for one in parts[:2]] == [0, 0]
    assert parts[2].values.size == 0
