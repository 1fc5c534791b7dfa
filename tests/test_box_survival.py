"""Fine-tuning a detector goes on from its checkpoint, when it is killed, as if nothing had happened."""

from dataclasses import replace
from pathlib import Path

import pytest

from labelloop.learning import BackboneSpec, Parts
from labelloop.learning.tuning import CheckpointFile, Conduct, Lesson, TuneOptions, fine_tune_boxes
from labelloop.records import Modality
from support.killing import kill_midway
from support.made_detectors import CLASSES, made_detector, made_pictures

pytest.importorskip("torchvision")

OPTIONS = TuneOptions(
    epochs=3, batch=4, at_once=2, head_rate=1e-3, backbone_rate=1e-3, patience=3, threads=1, checkpoint_every=0
)


def tune(folder: Path, made: Path) -> bytes:
    """Fine-tune in this process; the tuned weights."""
    spec = BackboneSpec(Modality.IMAGE, "plain", device="cpu", offline=True, parts=Parts.MAP)
    lesson, options = Lesson(*made_pictures(12), CLASSES), replace(OPTIONS, network=str(made))
    found = fine_tune_boxes(spec, lesson, folder, options, Conduct(keeper=CheckpointFile(folder / "checkpoint")))
    assert found is not None
    return (found.folder / "weights.safetensors").read_bytes()


def test_killed_in_the_middle_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    made = made_detector(tmp_path / "made")
    kill_midway("test_box_survival", tmp_path / "killed", made, steps=9)

    assert tune(tmp_path / "killed", made) == tune(tmp_path / "whole", made)
