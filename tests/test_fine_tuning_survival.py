"""A fine-tuning that is killed goes on from its checkpoint as if nothing had happened."""

import os
from pathlib import Path

import pytest

from labelloop.learning.tuning import CheckpointFile, Conduct, TuneOptions, fine_tune
from labelloop.learning.tuning.checkpoints import Checkpoint, pack, unpack

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from support.killing import kill_midway  # noqa: E402
from support.tuning_bench import digit_images, lesson, made_weights, spec_for  # noqa: E402

OPTIONS = TuneOptions(
    method="mean_teacher", epochs=4, batch=16, head_rate=3e-3, backbone_rate=3e-3, checkpoint_every=0, threads=1
)


def tune(folder: Path, weights: Path) -> bytes:
    """Fine-tune in this process; the tuned weights."""
    pool, _ = digit_images(20, first=200)
    keeper = CheckpointFile(folder / "checkpoint")
    found = fine_tune(spec_for(weights), lesson(40, unlabelled=pool), folder, OPTIONS, Conduct(keeper=keeper))
    assert found is not None
    return (found.folder / "weights.safetensors").read_bytes()


def test_killed_in_the_middle_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    weights = made_weights(tmp_path / "made")
    kill_midway("test_fine_tuning_survival", tmp_path / "killed", weights, steps=8)

    assert tune(tmp_path / "killed", weights) == tune(tmp_path / "whole", weights)


def test_a_checkpoint_is_read_as_it_was_written() -> None:
    tensors = {"a/b": torch.arange(6.0).reshape(2, 3).T, "n": torch.tensor(3)}
    found = unpack(pack(Checkpoint(tensors, {"step": 4, "text": "ü"})))

    assert found is not None
    assert found.facts == {"step": 4, "text": "ü"}
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("data", [b"", b"12345678", b"\x80\x04pickle", b"\x02\0\0\0\0\0\0\0{}", b"\xff" * 40])
def test_what_is_no_checkpoint_counts_as_none(data: bytes) -> None:
    assert unpack(data) is None


def test_a_checkpoint_cut_short_counts_as_none() -> None:
    data = pack(Checkpoint({"a": torch.zeros(100)}, {}))
    assert unpack(data[:-50]) is None


def test_a_checkpoint_file_is_whole_or_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = CheckpointFile(tmp_path / "deep" / "checkpoint")
    assert keeper.read() is None
    keeper.write(b"one")
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        keeper.write(b"two")

    assert keeper.read() == b"one"
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["checkpoint"]
    keeper.clear()
    assert keeper.read() is None
