"""The featurisers that need no network: what runs where no weights can be had."""

import time
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from labelloop.learning import (
    STRATEGIES,
    Backbone,
    BackboneSpec,
    ClassificationLearner,
    Pool,
    load_backbone,
    measure_named,
    resolve_backbone,
)
from labelloop.records import ClassTarget, Modality

DIGITS = tuple("0123456789")


def _plain(modality: Modality) -> Backbone:
    spec = BackboneSpec(modality, "plain")
    return load_backbone(spec, resolve_backbone(spec))


def _png(pixels: np.ndarray, side: int = 64) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def digits() -> tuple[list[bytes], np.ndarray]:
    data = load_digits()
    return [_png((image * 255 / 16).astype(np.uint8)) for image in data.images], data.target.astype(str)


@pytest.fixture(scope="module")
def digit_features(digits: tuple[list[bytes], np.ndarray]) -> np.ndarray:
    return _plain(Modality.IMAGE).embed(digits[0])


@pytest.mark.parametrize("modality", Modality)
def test_plain_is_found_without_a_note_and_gives_what_it_promises(modality: Modality) -> None:
    resolved = resolve_backbone(BackboneSpec(modality, "plain"))
    backbone = _plain(modality)

    assert (resolved.name, resolved.note) == ("plain", "")
    assert (backbone.id, backbone.dim) == (resolved.id, resolved.dim)
    assert backbone.embed([]).shape == (0, resolved.dim)


def test_images_become_finite_rows_and_broken_ones_nan() -> None:
    told: list[int] = []
    items = [_png(np.zeros((3, 5), dtype=np.uint8)), b"broken", _png(np.full((2, 2, 3), 200, dtype=np.uint8))]
    rows = _plain(Modality.IMAGE).embed(items, told.append)

    assert rows.dtype == np.float32
    assert np.isfinite(rows).all(axis=1).tolist() == [True, False, True]
    assert np.isnan(rows[1]).all()
    assert told == [3]
    assert np.isnan(_plain(Modality.IMAGE).embed([b"broken"])).all()


def test_image_features_do_not_depend_on_their_neighbours(digits: tuple[list[bytes], np.ndarray]) -> None:
    backbone = _plain(Modality.IMAGE)

    assert backbone.embed(digits[0][:300])[299] == pytest.approx(backbone.embed(digits[0][299:300])[0], abs=1e-6)


def test_colour_tells_images_apart() -> None:
    red, blue, dark_red = (
        np.full((8, 8, 3), colour, dtype=np.uint8) for colour in ([250, 0, 0], [0, 0, 250], [220, 0, 0])
    )
    rows = _plain(Modality.IMAGE).embed([_png(red), _png(blue), _png(dark_red)])

    assert np.linalg.norm(rows[0] - rows[2]) < np.linalg.norm(rows[0] - rows[1])


def test_images_are_embedded_faster_than_they_are_fetched(digits: tuple[list[bytes], np.ndarray]) -> None:
    started = time.perf_counter()
    _plain(Modality.IMAGE).embed(digits[0][:400])

    assert 400 / (time.perf_counter() - started) > 200


def test_hundred_labels_along_the_order_get_digits_right(
    digits: tuple[list[bytes], np.ndarray], digit_features: np.ndarray
) -> None:
    """The loop in small: a covering start, then the most doubtful ten, and again."""
    truth = digits[1]
    labelled = STRATEGIES["coverage"].order(Pool(digit_features), 0)[:20].tolist()
    while True:
        targets = [ClassTarget(label) for label in truth[labelled]]
        probabilities = ClassificationLearner.fit(digit_features[labelled], targets, DIGITS).probabilities(
            digit_features
        )
        if len(labelled) == 100:
            break
        pool = np.setdiff1d(np.arange(len(truth)), labelled)
        doubt = measure_named("margin")(probabilities[pool])
        order = STRATEGIES["margin"].order(Pool(digit_features[pool], doubt), 0)
        labelled += pool[order[:10]].tolist()
    pool = np.setdiff1d(np.arange(len(truth)), labelled)

    assert (np.array(DIGITS)[probabilities[pool].argmax(axis=1)] == truth[pool]).mean() > 0.95


def test_texts_that_share_words_or_stems_are_close() -> None:
    rows = _plain(Modality.TEXT).embed(
        ["my card was declined", "the card got declined", "declining cards", "when does the museum open"]
    )
    alike = rows @ rows.T

    assert rows.dtype == np.float32
    assert alike[0, 1] > alike[0, 3] + 0.2
    assert alike[0, 2] > alike[0, 3]


def test_case_and_repetition_do_not_matter() -> None:
    rows = _plain(Modality.TEXT).embed(["Hello hello HELLO", "hello hello"])

    assert rows[0] == pytest.approx(rows[1], abs=1e-6)


def test_any_text_becomes_a_finite_row() -> None:
    told: list[int] = []
    rows = _plain(Modality.TEXT).embed(["", "!?", "你好世界", "x" * 100_000, "\udcff"], told.append)

    assert np.isfinite(rows).all()
    assert not rows[:1].any()
    assert np.abs(rows[2]).sum() > 0
    assert told == [5]
