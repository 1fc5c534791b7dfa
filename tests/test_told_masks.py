"""The learner of areas on a backbone that was trained to tell areas itself."""

from collections.abc import Sequence

import numpy as np
import pytest

from labelloop.learning import Dense, MasksLearner, Training
from labelloop.learning.backbones.maps import Maps, pack, unpack
from labelloop.learning.backbones.names import name_number
from labelloop.learning.intervals import Interval
from labelloop.learning.masks import fitting
from labelloop.learning.masks.figures import figures
from labelloop.learning.masks.told import told_logits
from labelloop.records import Mask, MasksTarget

pytest.importorskip("torch")
CELLS = 16
SIDE = 2 * CELLS


def _numbers(names: Sequence[str]) -> tuple[int, ...]:
    return tuple(map(name_number, names))


def _quarters(logits: np.ndarray) -> np.ndarray:
    """Logits [SIDE, SIDE] as the channels of the cells' quarters."""
    return logits.reshape(CELLS, 2, CELLS, 2).transpose(1, 3, 0, 2).reshape(4, CELLS, CELLS)


def _image(seed: int, *, taught: bool, told: Sequence[str] = ("disc",)) -> tuple[Dense, MasksTarget, np.ndarray]:
    """Maps of an image, what people marked in it, and what the backbone says: in images that it was taught it finds the dark disc,
    in others a light one too, which only the colours tell from it.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    light, dark = (np.hypot(rows - rng.integers(5, 27), columns - rng.integers(5, 27)) < 5 for _ in range(2))
    colours = rng.normal(0, 0.1, (12, CELLS, CELLS))
    colours[:4] += _quarters(dark.astype(float))
    said = np.where(dark | (light & (not taught)), 4.0, -4.0) + rng.normal(0, 0.5, (SIDE, SIDE))
    maps = pack(SIDE, SIDE, [np.concatenate([_quarters(said), colours])], taught=taught, told=_numbers(told))
    return maps, MasksTarget((Mask.of("disc", dark),)), said


def _learner(images: list[tuple[Dense, MasksTarget, np.ndarray]]) -> MasksLearner:
    return MasksLearner.train(Training([maps for maps, *_ in images], [target for _, target, _ in images], ["disc"]))


def test_logits_are_found_by_the_classes_names() -> None:
    rng = np.random.default_rng(0)
    fine = rng.normal(size=(2, SIDE, SIDE)).astype(np.float32)
    level = np.concatenate([np.ones((3, CELLS, CELLS)), *map(_quarters, fine), np.zeros((12, CELLS, CELLS))])
    maps = Maps(8, 8, (level,), told=_numbers(["bar", "disc"]))
    told = told_logits(maps, ["disc", "new", "bar"])

    assert told is not None
    assert (told[[1, 3]] == fine[::-1]).all()
    assert not told[[0, 2]].any()
    assert told_logits(maps, ["new"]) is None
    assert told_logits(Maps(8, 8, (level,)), ["disc"]) is None


def test_logits_of_a_coarser_grid_are_brought_to_the_finest() -> None:
    fine, coarse = np.zeros((12, CELLS, CELLS)), np.zeros((5, 4, 4), dtype=np.float32)
    coarse[-2], coarse[-1] = 3.0, np.arange(4)
    told = told_logits(Maps(8, 8, (fine, coarse), told=_numbers(["disc", "bar"])), ["disc", "bar"])

    assert told is not None
    assert told.shape == (3, SIDE, SIDE)
    assert told[1] == pytest.approx(3.0)
    assert (np.diff(told[2], axis=1) >= 0).all()
    assert (told[2, :, 0].max(), told[2, :, -1].min()) == (0, 3)


def test_what_a_backbone_says_is_packed_with_whether_it_was_taught() -> None:
    level = np.zeros((16, CELLS, CELLS))
    for taught in (False, True):
        for names in ((), ("disc",), ("disc", "bar"), ("a", "b", "c")):
            maps = unpack(pack(10, 20, [level, level], taught=taught, told=_numbers(names)))
            assert (maps.height, maps.width, maps.taught, maps.told) == (10, 20, taught, _numbers(names))
            assert [one.shape for one in maps.levels] == [level.shape] * 2


def test_before_there_is_more_to_learn_a_backbone_is_taken_at_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "STEPS", 1)
    learner = _learner([_image(seed, taught=True) for seed in range(3)])
    maps, _, said = _image(50, taught=False)
    predicted = learner.predict([maps])[0]
    inside = predicted.masks[0].inside()

    assert (inside == (said > 0)).mean() > 0.99


def test_what_it_gets_wrong_is_learnt_from_labels_that_it_has_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "STEPS", 150)
    images = [_image(seed, taught=seed < 8) for seed in range(16)]
    test = [_image(seed, taught=False) for seed in range(50, 60)]
    inputs, targets = [maps for maps, *_ in test], [target for _, target, _ in test]
    before, after = (_learner(some).evaluate(inputs, targets).value for some in (images[:8], images))

    assert before < 0.7
    assert after > before + 0.15


def test_a_backbone_that_knows_no_label_is_learnt_from_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "STEPS", 150)
    learner = _learner([_image(seed, taught=False, told=["ring"]) for seed in range(8)])
    test = [_image(seed, taught=False, told=["ring"]) for seed in range(50, 55)]

    assert learner.evaluate([maps for maps, *_ in test], [target for _, target, _ in test]).value > 0.7


def test_a_restored_learner_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "STEPS", 20)
    learner = _learner([_image(seed, taught=seed < 4) for seed in range(8)])
    again = MasksLearner.from_arrays(learner.arrays(), learner.meta())
    inputs = [_image(seed, taught=False)[0] for seed in range(50, 53)]

    assert again.predict(inputs) == learner.predict(inputs)


def test_dice_is_told_of_all_images_together_and_as_the_mean_of_each() -> None:
    shares = [
        np.array([[0.1, 0.2, 0.2], [0.0, 0.0, 0.0]]),
        np.array([[0.3, 0.3, 0.3], [0.0, 0.0, 0.1]]),
        np.zeros((2, 3)),
    ]
    found = figures(shares, ["disc", "bar"], "holdout")

    assert found.others["Dice"] == pytest.approx((0.8 + 0) / 2)
    assert found.others["Dice per image"] == pytest.approx((0.5 + (1 + 0) / 2) / 2)


def test_one_image_says_nothing_of_others() -> None:
    """Its interval was empty, so that a single image reached any target for certain."""
    one = figures([np.array([[0.2, 0.2, 0.2]])], ("a",), "holdout")

    assert one.value == 1
    assert one.interval == Interval(0.0, 1.0)
