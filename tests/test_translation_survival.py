"""Fine-tuning a model that writes goes on from its checkpoint, when it is killed, as if nothing had happened."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labelloop.learning.tuning import CheckpointFile, TextLesson, TuneOptions, fine_tune_texts
from labelloop.learning.tuning.checkpoints import unpack
from support.writers import made_pairs, made_writer, writer_spec

pytest.importorskip("transformers")

OPTIONS = TuneOptions(epochs=12, batch=16, at_once=8, backbone_rate=1e-2, patience=12, threads=1, checkpoint_every=0)


def tune(folder: Path, made: Path) -> bytes:
    """Fine-tune in this process; the tuned weights."""
    keeper = CheckpointFile(folder / "checkpoint")
    found = fine_tune_texts(writer_spec(made), TextLesson(*made_pairs(60)), folder, OPTIONS, keeper=keeper)
    assert found is not None
    return (found.folder / "model.safetensors").read_bytes()


def test_killed_in_the_middle_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    made = made_writer(tmp_path / "tiny-t5")
    code = "import sys, pathlib, test_translation_survival as t; t.tune(*map(pathlib.Path, sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": ":".join([str(Path(__file__).parent), *sys.path])}
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "killed"), str(made)], env=environment)
    file = tmp_path / "killed" / "checkpoint"

    def steps_done() -> int:
        found = unpack(file.read_bytes()) if file.exists() else None
        return found.facts["standing"]["step"] if found else 0

    deadline = time.monotonic() + 120
    while steps_done() < 3:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert 3 <= steps_done() < 36, "it was killed in the middle"
    assert not list((tmp_path / "killed").glob("*-tuned"))

    assert tune(tmp_path / "killed", made) == tune(tmp_path / "whole", made)
