"""Calibration: fitted where it helps, left out where it does not, and shown as a diagram."""

import numpy as np
import pytest
from safetensors.numpy import load, save

from labelloop.learning.calibrating import (
    ASKED_FROM,
    ISOTONIC_FROM,
    Reliability,
    calibration_error,
    choose_calibration,
    held_back_probabilities,
    reliability,
)
from labelloop.learning.calibration import Calibration, fit_calibration, fit_isotonic, log_softmax, unfitted


def _items(count: int, sharpness: float, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits `sharpness` times as sharp as they should be, and targets drawn from what they should be."""
    generator = np.random.default_rng(seed)
    honest = generator.normal(size=(count, classes)) * 2
    cumulative = np.exp(log_softmax(honest)).cumsum(axis=1)
    targets = (generator.random(count)[:, None] > cumulative).sum(axis=1)
    return honest * sharpness, targets, np.ones(count)


@pytest.mark.parametrize("sharpness", [0.2, 4.0])
def test_logits_that_are_too_sharp_or_too_flat_are_mended(sharpness: float) -> None:
    calibration, chosen = choose_calibration(*_items(1000, sharpness))
    logits, targets, _ = _items(4000, sharpness, seed=1)

    assert chosen.ece_before > 0.1
    assert chosen.ece_after < 0.05
    assert calibration_error(calibration.probabilities(logits), targets) < 0.04


def test_what_is_told_of_few_items_holds_on_new_ones() -> None:
    """Logits that say nothing: a calibration flatters the items it was fitted on, and not those it was fitted without."""

    def loss(probabilities: np.ndarray, targets: np.ndarray) -> float:
        return float(-np.log(probabilities[np.arange(len(targets)), targets]).mean())

    fitted_on, held_back, new = [], [], []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        logits, targets = generator.normal(size=(40, 5)), np.arange(40) % 5
        calibration, _ = choose_calibration(logits, targets, np.ones(40))
        fitted_on.append(loss(calibration.probabilities(logits), targets))
        held_back.append(loss(held_back_probabilities(calibration, logits, targets, np.ones(40)), targets))
        new.append(loss(calibration.probabilities(generator.normal(size=(2000, 5))), generator.integers(5, size=2000)))

    assert np.mean(fitted_on) < np.mean(new) - 0.01
    assert np.mean(held_back) == pytest.approx(np.mean(new), abs=0.008)


def test_without_a_calibration_nothing_is_held_back() -> None:
    logits, targets, weights = _items(30, 1.0)
    plain = held_back_probabilities(unfitted(3, 2.0), logits, targets, weights, 2.0)
    assert plain == pytest.approx(np.exp(log_softmax(logits / 2)))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("count", [ASKED_FROM, 200])
def test_never_worse_than_uncalibrated_by_more_than_a_point(count: int, seed: int) -> None:
    _, chosen = choose_calibration(*_items(count, 1.0, seed=seed))

    assert chosen.ece_after <= chosen.ece_before + 0.01


def _error_on_new_items(count: int, sharpness: float, usual: float) -> float:
    """Mean calibration error on items that are new, over twenty calibrations fitted on so few."""
    logits, targets, _ = _items(3000, sharpness, seed=99)
    fitted = [choose_calibration(*_items(count, sharpness, seed=seed), usual)[0] for seed in range(20)]
    return float(np.mean([calibration_error(one.probabilities(logits), targets) for one in fitted]))


@pytest.mark.parametrize("count", [10, 20, 40])
def test_few_items_are_calibrated_by_what_is_usual_and_by_themselves(count: int) -> None:
    logits, targets, _ = _items(3000, 2.0, seed=99)
    uncalibrated = calibration_error(np.exp(log_softmax(logits)), targets)

    assert _error_on_new_items(count, 2.0, usual=2.0) < _error_on_new_items(count, 2.0, usual=1.0) < uncalibrated


@pytest.mark.parametrize("usual", [1.0, 1.8])
def test_a_usual_temperature_that_is_wrong_is_overruled(usual: float) -> None:
    assert _error_on_new_items(400, 1.0, usual) < 0.03
    assert fit_calibration(*_items(4000, 1.0), usual=usual).temperature == pytest.approx(1, rel=0.1)


def test_few_items_are_enough_to_say_that_logits_tell_nothing() -> None:
    sure = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        logits, targets = 4 * rng.normal(size=(524, 3)), rng.integers(3, size=524)
        fitted = fit_calibration(logits[:24], targets[:24], np.ones(24))
        sure.append(fitted.probabilities(logits[24:]).max(axis=1).mean())

    assert np.mean(sure) < 0.5


def test_without_an_item_the_usual_temperature_is_taken() -> None:
    nothing = np.zeros((0, 3)), np.zeros(0, dtype=np.int64), np.zeros(0)
    calibration, chosen = choose_calibration(*nothing, 1.8)

    assert (calibration.temperature, chosen) == (1.8, Reliability("usual"))
    assert choose_calibration(*nothing)[1] == Reliability("none")


def test_what_makes_it_worse_is_left_out() -> None:
    logits, _, weights = _items(60, 1.0, seed=3)
    outcomes = {choose_calibration(*_items(ASKED_FROM, 1.0, seed=seed))[1].method for seed in range(12)}

    assert "none" in outcomes
    assert choose_calibration(logits, np.zeros(60, dtype=np.int64), weights)[1] == Reliability("none")


def test_temperature_alone_leaves_the_offsets() -> None:
    fitted = fit_calibration(*_items(400, 3.0), offsets=False)

    assert fitted.method == "temperature"
    assert (fitted.offsets == 0).all()
    assert fitted.temperature == pytest.approx(3, rel=0.2)


def test_a_bend_that_no_temperature_mends_is_isotonic() -> None:
    """Right half of the time whenever it is quite sure, and always when it is not."""
    generator = np.random.default_rng(0)
    sure = generator.random(2000) < 0.5
    first = np.where(sure, 4.0, 1.0)
    right = ~sure | (generator.random(2000) < 0.55)
    logits = np.column_stack([first, np.zeros(2000), np.zeros(2000)])
    turn = generator.integers(0, 3, 2000)
    logits = np.stack([np.roll(row, shift) for row, shift in zip(logits, turn, strict=True)])
    targets = np.where(right, turn, (turn + 1 + generator.integers(0, 2, 2000)) % 3)
    calibration, chosen = choose_calibration(logits, targets, np.ones(2000))

    assert chosen.method == "isotonic"
    assert chosen.ece_after < 0.05 < chosen.ece_before
    assert calibration.curve.shape[0] == 2


def test_isotonic_keeps_the_order_of_the_classes() -> None:
    logits, targets, weights = _items(ISOTONIC_FROM, 2.0)
    fitted = fit_isotonic(logits, targets, weights)
    before = np.exp(log_softmax(fitted.scaled(logits)))

    assert (fitted.probabilities(logits).argmax(axis=1) == before.argmax(axis=1)).all()
    assert fitted.probabilities(logits).sum(axis=1) == pytest.approx(np.ones(len(logits)))


def test_stored_calibration_says_the_same() -> None:
    logits, targets, weights = _items(ISOTONIC_FROM, 2.0)
    for fitted in (fit_isotonic(logits, targets, weights), fit_calibration(logits, targets, weights)):
        restored = Calibration.from_arrays(load(save(fitted.arrays())), fitted.method)
        assert (restored.probabilities(logits) == fitted.probabilities(logits)).all()


def test_diagram_counts_every_item_once() -> None:
    probabilities = np.array([[0.95, 0.05]] * 30 + [[0.55, 0.45]] * 20)
    targets = np.array([0] * 27 + [1] * 3 + [0] * 10 + [1] * 10)
    low, high = reliability(probabilities, targets)

    assert (low.confidence, low.accuracy, low.count) == (0.55, 0.5, 20)
    assert (high.confidence, high.accuracy, high.count) == (0.95, 0.9, 30)
    assert calibration_error(probabilities, targets) == pytest.approx(0.05)


def test_reliability_survives_json() -> None:
    _, chosen = choose_calibration(*_items(100, 2.0))

    assert chosen.bins
    assert Reliability.from_json(chosen.to_json()) == chosen


def test_no_item_has_no_error() -> None:
    assert reliability(np.zeros((0, 3)), np.zeros(0, dtype=np.int64)) == ()
    assert calibration_error(np.zeros((0, 3)), np.zeros(0, dtype=np.int64)) == 0
