"""Fine-tuning a model that writes goes on from its checkpoint, when it is killed, as if nothing had happened."""

from pathlib import Path

import pytest

from labelloop.learning.tuning import CheckpointFile, Conduct, Lesson, TuneOptions, fine_tune_texts
from support.killing import kill_midway
from support.writers import made_pairs, made_writer, writer_spec

pytest.importorskip("transformers")

OPTIONS = TuneOptions(epochs=12, batch=16, at_once=8, backbone_rate=1e-2, patience=12, threads=1, checkpoint_every=0)


def tune(folder: Path, made: Path) -> bytes:
    """Fine-tune in this process; the tuned weights."""
    keeper = CheckpointFile(folder / "checkpoint")
    found = fine_tune_texts(writer_spec(made), Lesson(*made_pairs(60)), folder, OPTIONS, Conduct(keeper=keeper))
    assert found is not None
    return (found.folder / "model.safetensors").read_bytes()


def test_killed_in_the_middle_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    made = made_writer(tmp_path / "tiny-t5")
    kill_midway("test_translation_survival", tmp_path / "killed", made, steps=36)

    assert tune(tmp_path / "killed", made) == tune(tmp_path / "whole", made)
