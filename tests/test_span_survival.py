"""Fine-tuning for spans goes on from its checkpoint, when it is killed, as if nothing had happened."""

from dataclasses import replace
from pathlib import Path

import pytest

from labelloop.learning.tuning import CheckpointFile, Conduct, Lesson, TuneOptions, fine_tune_spans
from support.encoders import CLASSES, encoder_spec, made_encoder, made_sentences
from support.killing import kill_midway

pytest.importorskip("sentence_transformers")

OPTIONS = TuneOptions(epochs=12, batch=8, at_once=4, backbone_rate=3e-3, patience=12, threads=1, checkpoint_every=0)


def tune(folder: Path, made: Path) -> bytes:
    """Fine-tune in this process; the tuned weights."""
    keeper = CheckpointFile(folder / "checkpoint")
    found = fine_tune_spans(
        encoder_spec(made), Lesson(*made_sentences(30), CLASSES), folder, OPTIONS, Conduct(keeper=keeper)
    )
    assert found is not None
    return (found.folder / "model.safetensors").read_bytes()


def test_killed_in_the_middle_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    made = made_encoder(tmp_path / "made")
    kill_midway("test_span_survival", tmp_path / "killed", made, steps=36)

    assert tune(tmp_path / "killed", made) == tune(tmp_path / "whole", made)


def test_other_labels_or_options_do_not_go_on_from_its_checkpoint(tmp_path: Path) -> None:
    made = made_encoder(tmp_path / "made")
    keeper = CheckpointFile(tmp_path / "checkpoint")
    texts, targets = made_sentences(30)
    told: list[int] = []

    def go_on(lesson: Lesson, options: TuneOptions) -> int:
        """The step that it begins with."""
        told.clear()
        fine_tune_spans(
            encoder_spec(made),
            lesson,
            tmp_path,
            options,
            Conduct(keeper, lambda: told[-1] >= 1, lambda done, planned: told.append(done)),
        )
        return told[0]

    lesson = Lesson(texts, targets, CLASSES)
    assert go_on(lesson, OPTIONS) == 0
    assert go_on(lesson, OPTIONS) == 2
    assert go_on(Lesson(texts, [*targets[1:], targets[0]], CLASSES), OPTIONS) == 0
    assert go_on(lesson, replace(OPTIONS, seed=1)) == 0
