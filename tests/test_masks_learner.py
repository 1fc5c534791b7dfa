"""The learner of areas, on maps made here."""

import json
from typing import Any

import numpy as np
import pytest

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning import LEARNERS, Dense, MasksLearner, Training, TrainingOptions
from labelloop.learning.backbones.maps import pack, unpack
from labelloop.learning.masks import fitting, lessons, windows
from labelloop.learning.masks.areas import class_map, coverage
from labelloop.learning.masks.doubt import expected_dice, uncertainty
from labelloop.learning.masks.head import MaskHead, averaged
from labelloop.learning.masks.learner import _told_apart
from labelloop.learning.uncertainty import margin
from labelloop.records import Kind, Mask, MasksTarget

pytest.importorskip("torch")
CLASSES = ("disc", "bar", "never")
CELLS = 24
SIZE = (96, 144)


def _scene(seed: int, things: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A map of classes [2 * CELLS, 2 * CELLS] of some discs and bars, and noisy colours of its cells' quarters."""
    rng = np.random.default_rng(seed)
    side = 2 * CELLS
    rows, columns = np.mgrid[:side, :side]
    truth = np.zeros((side, side), dtype=np.uint8)
    for number in range(things):
        row, column = rng.integers(6, side - 6, 2)
        if (number + seed) % 2:
            truth[row - 2 : row + 2, max(0, column - 9) : column + 9] = 2
        else:
            truth[np.hypot(rows - row, columns - column) < 6] = 1
    colours = np.array([[0.2, 0.2, 0.3], [0.8, 0.4, 0.2], [0.2, 0.7, 0.8]])[truth]
    return truth, colours + rng.normal(0, 0.12, colours.shape)


def _maps(colours: np.ndarray, size: tuple[int, int] = SIZE) -> Dense:
    quarters = colours.reshape(CELLS, 2, CELLS, 2, 3).transpose(4, 1, 3, 0, 2).reshape(12, CELLS, CELLS)
    coarse = colours.reshape(CELLS // 2, 4, CELLS // 2, 4, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    return pack(*size, [quarters, coarse])


def _target(truth: np.ndarray, size: tuple[int, int] = SIZE) -> MasksTarget:
    rows, columns = (np.arange(n) * len(truth) // n for n in size)
    large = truth[rows[:, None], columns]
    return MasksTarget(tuple(Mask.of(CLASSES[c - 1], large == c) for c in np.unique(large).tolist() if c))


def _items(seeds: range, things: int = 3) -> tuple[list[Dense], list[MasksTarget]]:
    scenes = [_scene(seed, things) for seed in seeds]
    return [_maps(colours) for _, colours in scenes], [_target(truth) for truth, _ in scenes]


def _train(inputs: list[Dense], targets: list[Any], **options: Any) -> MasksLearner:
    return MasksLearner.train(Training(inputs, targets, CLASSES, options=TrainingOptions(**options)))


@pytest.fixture(scope="module")
def learner() -> MasksLearner:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "STEPS", 120)
        return _train(*_items(range(12)))


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "STEPS", 10)


def test_masks_are_learnt_by_it() -> None:
    assert LEARNERS[Kind.MASKS] is MasksLearner


def test_areas_of_unseen_images_are_found(learner: MasksLearner) -> None:
    inputs, targets = _items(range(50, 60))
    figures = learner.evaluate(inputs, targets)
    quality = learner.quality(inputs, targets)

    assert figures.name == "mean IoU"
    assert figures.value > 0.8
    assert figures.others["Dice"] > figures.value
    assert set(figures.per_class) == {"disc", "bar"}
    assert figures.interval is not None
    assert figures.interval.low <= figures.value <= figures.interval.high
    assert quality.mean() > 0.75
    assert ((quality >= 0) & (quality <= 1)).all()
    assert learner.probabilities(inputs) is None


def test_cross_validation_is_near_the_truth(learner: MasksLearner) -> None:
    assert learner.cv_metrics is not None
    assert learner.cv_metrics.source == "cross-validation"
    assert learner.cv_metrics.items == 12
    assert learner.cv_metrics.value == pytest.approx(learner.evaluate(*_items(range(60, 72))).value, abs=0.2)


def test_masks_are_of_the_images_size_with_a_score_near_their_dice(learner: MasksLearner) -> None:
    inputs, targets = _items(range(70, 80))
    predictions = learner.predict(inputs)
    gaps = []
    for prediction, target in zip(predictions, targets, strict=True):
        for mask in prediction.masks:
            truth = next((t.inside() for t in target.masks if t.label == mask.label), np.zeros(SIZE, bool))
            assert (mask.height, mask.width) == SIZE
            gaps.append(mask.score - 2 * (mask.inside() & truth).sum() / (mask.inside().sum() + truth.sum()))
        assert len({mask.label for mask in prediction.masks}) == len(prediction.masks)

    assert abs(np.mean(gaps)) < 0.12
    assert all(0 <= p.uncertainty <= 1 and 0 <= p.confidence <= 1 for p in predictions)


def test_restored_it_says_the_very_same(learner: MasksLearner) -> None:
    inputs, _ = _items(range(80, 83))
    restored = MasksLearner.from_arrays(learner.arrays(), json.loads(json.dumps(learner.meta())))

    assert restored.predict(inputs) == learner.predict(inputs)
    assert restored.cv_metrics == learner.cv_metrics


def test_uncertainty_does_not_depend_on_the_images_size_and_grows_with_noise(learner: MasksLearner) -> None:
    _, colours = _scene(90)
    small, large = learner.predict([_maps(colours, (40, 30)), _maps(colours, (2000, 3000))])
    noisy = colours + np.random.default_rng(0).normal(0, 0.3, colours.shape)

    assert small.uncertainty == large.uncertainty
    assert learner.predict([_maps(noisy)])[0].uncertainty > small.uncertainty
    assert (large.masks[0].height, large.masks[0].width) == (2000, 3000)


def test_the_doubt_of_an_image_is_reduced_over_its_places_as_is_chosen(learner: MasksLearner) -> None:
    inputs, _ = _items(range(80, 83))
    chosen = MasksLearner.from_arrays(learner.arrays(), learner.meta() | {"reduction": "sum"})

    assert [one.uncertainty for one in chosen.predict(inputs)] == pytest.approx([1.0] * 3)
    assert all(one.uncertainty < 0.9 for one in learner.predict(inputs))


def test_image_in_which_nothing_is_found_has_a_sensible_uncertainty(learner: MasksLearner) -> None:
    (nothing,), _ = _items(range(91, 92), things=0)
    prediction = learner.predict([nothing])[0]

    assert prediction.masks == ()
    assert 0 < prediction.uncertainty < 0.6
    assert learner.quality([nothing], [MasksTarget(())]).tolist() == [1.0]


@pytest.mark.usefixtures("_quick")
def test_same_labels_and_seed_same_model() -> None:
    inputs, targets = _items(range(5))
    one, other, third = (_train(inputs, targets, seed=seed).arrays() for seed in (1, 1, 2))

    assert all((one[name] == other[name]).all() for name in one)
    assert any((one[name] != third[name]).any() for name in one)


@pytest.mark.usefixtures("_quick")
def test_heads_of_few_images_are_two_averaged_in_one(monkeypatch: pytest.MonkeyPatch, _quick: None) -> None:
    inputs, targets = _items(range(4))
    two = _train(inputs, targets)
    monkeypatch.setattr(lessons, "FEW", 3)
    one, other = (_train(inputs, targets, seed=seed) for seed in (0, 1))

    levels = unpack(inputs[0]).levels
    together = averaged([one._head, other._head])
    mean = (one._head(levels) + other._head(levels)) / 2

    np.testing.assert_allclose(together(levels), mean, rtol=1e-4, atol=1e-5)
    assert not np.allclose(one._head(levels), other._head(levels))
    assert two._head.arrays.keys() == together.arrays.keys()
    for name, values in together.arrays.items():
        np.testing.assert_array_equal(two._head.arrays[name], values)


def test_training_leaves_the_callers_random_numbers_alone() -> None:
    import torch

    torch.manual_seed(3)
    before = torch.get_rng_state()
    _train(*_items(range(2)))

    assert (torch.get_rng_state() == before).all()


@pytest.mark.usefixtures("_quick")
def test_one_image_is_enough_and_broken_ones_are_left_out() -> None:
    inputs, targets = _items(range(1))
    empty = Dense(np.zeros(0, np.float16), np.zeros(0, np.int32))
    learner = _train([empty, *inputs], [*targets, *targets])

    assert learner.cv_metrics is None
    assert len(learner.predict(inputs)) == 1
    with pytest.raises(LearningError, match="no maps"):
        learner.predict([empty])


@pytest.mark.parametrize("targets", [[], [MasksTarget(())], [MasksTarget((Mask.of("gone", np.ones((3, 3), bool)),))]])
def test_without_an_area_nothing_can_be_learnt(targets: list[MasksTarget]) -> None:
    inputs, _ = _items(range(len(targets)))
    with pytest.raises(NotEnoughLabels, match="has an area yet; mark one"):
        _train(inputs, targets)


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("area", [np.ones((9, 9), bool), np.pad(np.ones((1, 1), bool), 900)])
def test_an_area_of_everything_or_of_a_pixel_does_not_break_it(area: np.ndarray) -> None:
    inputs, _ = _items(range(5))
    learner = _train(inputs, [MasksTarget((Mask.of("bar", area),))] * 5)

    assert all(0 <= prediction.uncertainty <= 1 for prediction in learner.predict(inputs))


@pytest.mark.usefixtures("_quick")
def test_features_that_are_not_finite_count_as_none() -> None:
    inputs, targets = _items(range(4))
    spoilt = [Dense(dense.values.copy(), dense.places) for dense in inputs]
    spoilt[0].values[:200] = np.nan
    spoilt[1].values[:] = np.inf
    learner = _train(spoilt, targets)

    assert all(np.isfinite(array).all() for array in learner.arrays().values())
    assert all(np.isfinite(prediction.uncertainty) for prediction in learner.predict(spoilt))


def test_what_does_not_go_together_is_said(learner: MasksLearner) -> None:
    inputs, targets = _items(range(2))
    other = pack(*SIZE, [np.ones((5, 8, 8))])

    with pytest.raises(LearningError, match="channels, not of 5; were they made by another backbone"):
        learner.predict([other])
    with pytest.raises(LearningError, match="several sizes"):
        _train([inputs[0], other], targets)
    with pytest.raises(LearningError, match="2 targets for the maps of 1"):
        _train(inputs[:1], targets)
    with pytest.raises(LearningError, match="No uncertainty is called 'none'"):
        _train(inputs, targets, uncertainty="none")
    with pytest.raises(NotEnoughLabels, match="images to judge on"):
        learner.evaluate([], [])


def test_where_areas_overlap_the_smaller_counts() -> None:
    large, small = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    small[1:3, 1:3] = True
    for order in ((0, 1), (1, 0)):
        masks = [[Mask.of("large", large), Mask.of("small", small)][place] for place in order]
        found = class_map(masks, ["large", "small"], 4, 4)
        assert (found == np.where(small, 2, 1)).all()
    assert class_map([Mask.of("large", large)], ["large"], 2, 8).tolist() == [[1] * 8] * 2


def test_more_labels_than_a_byte_can_number_are_told_apart() -> None:
    inside = np.zeros((2, 2), bool)
    inside[0, 0] = True
    labels = [str(number) for number in range(300)]
    for count in (255, 256, 300):
        found = class_map([Mask.of(labels[count - 1], inside)], labels[:count], 2, 2)
        assert found.tolist() == [[count, 0], [0, 0]]
    assert class_map([], labels[:255], 2, 2).dtype == np.uint8


@pytest.mark.usefixtures("_quick")
def test_areas_of_the_last_of_many_classes_are_judged() -> None:
    """One class is known and it is everywhere, so that whatever was learnt of it is right."""
    classes = [str(number) for number in range(300)]
    inputs, _ = _items(range(2))
    targets = [MasksTarget((Mask.of("299", np.ones(SIZE, bool)),))] * 2
    learner = MasksLearner.train(Training(inputs, targets, classes))

    assert learner.quality(inputs, targets) == pytest.approx([1, 1])
    assert set(learner.evaluate(inputs, targets).per_class) == {"299"}


def test_more_found_classes_than_a_byte_can_number_are_told_apart() -> None:
    scaled = np.zeros((301, 2, 2), np.float32)
    scaled[300] = 9

    assert (_told_apart(scaled, unpack(pack(4, 4, [np.ones((1, 2, 2))]))) == 300).all()


def test_coverage_says_how_much_of_a_cell_is_of_each_class() -> None:
    classes = np.zeros((8, 8), dtype=np.uint8)
    classes[:, :3] = 1
    shares = coverage(classes, 1, 4)

    assert shares[1, 0].tolist() == [255, 128, 0, 0]
    assert np.abs(shares.sum(axis=0, dtype=int) - 255).max() <= 1


def test_mixing_at_each_levels_size_is_mixing_of_the_resized_levels() -> None:
    rng = np.random.default_rng(0)
    levels = [rng.normal(size=(3, 8, 8)).astype(np.float32), rng.normal(size=(5, 4, 4)).astype(np.float32)]
    import torch

    network = fitting._network(8, 3, 0)
    scales = tuple(fitting.Scale(np.full(len(x), 0.3, np.float32), np.full(len(x), 2, np.float32)) for x in levels)
    resized = torch.nn.functional.interpolate(torch.from_numpy(levels[1])[None], size=(8, 8), mode="bilinear")
    cells = (torch.cat([torch.from_numpy(levels[0])[None], resized], dim=1) - 0.3) / 2
    with torch.inference_mode():
        expected = network(cells)[0].numpy()

    head = fitting._head(network, scales)
    assert isinstance(head, MaskHead)
    assert head(levels) == pytest.approx(expected, abs=1e-5)


def test_windows_are_mixed_as_if_they_were_cut_from_the_resized_levels() -> None:
    rng = np.random.default_rng(0)
    import torch

    levels = [rng.normal(size=(2, 40, 40)).astype(np.float32), rng.normal(size=(3, 20, 20)).astype(np.float32)]
    scales = tuple(windows.Scale(np.zeros(len(x), np.float32), np.ones(len(x), np.float32)) for x in levels)
    lesson = windows.Lesson(levels, np.full((2, 80, 80), 255, np.uint8), 1.0)
    resized = torch.nn.functional.interpolate(torch.from_numpy(levels[1])[None], size=(40, 40), mode="bilinear")
    whole = torch.cat([torch.from_numpy(levels[0])[None], resized], dim=1)
    mix = torch.nn.Conv2d(5, fitting.MIXED, 1)
    cut = [windows._Window(lesson, *place) for place in ((0, 0, 1, 1), (24, 24, -1, 1), (7, 12, 1, -1))]
    drawn = windows.Windows([lesson], scales, 0)
    with torch.no_grad():
        mixed = fitting._mixed(mix, [drawn._reached(cut, level, scale) for level, scale in enumerate(scales)])
        expected = mix(whole)[0]

    for window, given in zip(cut, mixed, strict=True):
        part = expected[:, window.top : window.top + windows.SIDE, window.left : window.left + windows.SIDE].numpy()
        assert given.numpy() == pytest.approx(part[:, :: window.down, :: window.across], abs=1e-5)


def test_whole_channels_of_a_window_are_left_out_and_the_others_count_for_as_much_more() -> None:
    levels = [np.ones((500, 20, 20), np.float16), np.ones((400, 10, 10), np.float16)]
    levels[0][7] = 3
    scales = [windows.Scale(np.full(len(x), 0.5, np.float32), np.ones(len(x), np.float32)) for x in levels]
    scales[0].spread[7] = np.inf
    lesson = windows.Lesson(levels, np.full((2, 40, 40), 255, np.uint8), 1.0)
    drawn, again = (windows.Windows([lesson], scales, 0, 0.2) for _ in range(2))
    for given, same in zip(drawn.step().levels, again.step().levels, strict=True):
        cells = given.cells.numpy()
        kept = cells[:, :, 0, 0] != 0

        assert (cells == cells[:, :, :1, :1]).all()
        assert cells[:, :, 0, 0][kept] == pytest.approx(0.5 / 0.8)
        assert 1 - kept.mean() == pytest.approx(0.2, abs=0.03)
        assert (kept.all(axis=0) | ~kept.any(axis=0)).mean() < 0.5  # each window leaves out others
        assert (cells == same.cells.numpy()).all()


def test_doubt_is_that_of_the_image_and_of_its_boundaries() -> None:
    probabilities = np.zeros((2, 40, 40))
    probabilities[1, 10:30, 10:30] = 1
    probabilities[0] = 1 - probabilities[1]
    sure = uncertainty(probabilities, margin)
    blurred = np.where(probabilities > 0.5, 0.6, 0.4)

    assert sure == 0
    assert uncertainty(blurred, margin) == pytest.approx(0.8)
    nearly = np.stack([np.full((40, 40), 0.99), np.full((40, 40), 0.01)])
    missed = nearly.copy()
    missed[:, :8, :8] = np.array([0.55, 0.45])[:, None, None]
    assert uncertainty(nearly, margin) == pytest.approx(0.02)
    assert uncertainty(missed, margin, "max") == pytest.approx(0.9)
    assert uncertainty(missed, margin, "quantile:0.5") == pytest.approx(0.02)
    assert uncertainty(missed, margin) > 0.3


def test_expected_dice_is_the_dice_of_probabilities_that_are_right() -> None:
    inside = np.zeros((10, 10), bool)
    inside[:5] = True

    assert expected_dice(inside.astype(float), inside) == 1
    assert expected_dice(np.where(inside, 0.8, 0.2), inside) == pytest.approx(0.8)
    assert expected_dice(np.zeros((10, 10)), np.zeros((10, 10), bool)) == 0
