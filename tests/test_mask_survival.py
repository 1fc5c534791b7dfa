"""Fine-tuning a network that tells areas goes on from its checkpoint, when it is killed, as if nothing had happened."""

from pathlib import Path

import pytest

from labelloop.learning.tuning import CheckpointFile, Conduct, Lesson, TuneOptions, fine_tune_masks
from support.killing import kill_midway
from support.made_areas import CLASSES, area_spec, made_areas

pytest.importorskip("torchvision")

OPTIONS = TuneOptions(epochs=4, batch=1, at_once=1, head_rate=5e-3, patience=4, threads=1, checkpoint_every=0)


def tune(folder: Path, _made: Path) -> bytes:
    """Fine-tune in this process; the tuned weights."""
    keeper = CheckpointFile(folder / "checkpoint")
    found = fine_tune_masks(area_spec(), Lesson(*made_areas(4), CLASSES), folder, OPTIONS, Conduct(keeper=keeper))
    assert found is not None
    return (found.folder / "weights.safetensors").read_bytes()


def test_killed_in_the_middle_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    kill_midway("test_mask_survival", tmp_path / "killed", tmp_path, steps=12)

    assert tune(tmp_path / "killed", tmp_path) == tune(tmp_path / "whole", tmp_path)
