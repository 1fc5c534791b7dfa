"""The learner of boxes on a detector's own findings, which are made here."""

from dataclasses import replace

import numpy as np
import pytest

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning import Dense, Training, TrainingOptions
from labelloop.learning.backbones.detections import pack_detections, read_detections
from labelloop.learning.backbones.names import name_number
from labelloop.learning.boxes import DetectedBoxesLearner, known_labels
from labelloop.learning.boxes.naming import columns_by_name
from labelloop.learning.boxes.scoring import THRESHOLD
from labelloop.records import Box, BoxesTarget
from support.made_boxes import made_boxes

CLASSES = ("disc", "bar")
NAMES = np.array([name_number(name) for name in CLASSES])
EMPTY = Dense(np.zeros(0, np.float16), np.zeros(0, np.int32))
ROW = np.ones(3, np.float32)


def findings(boxes: tuple[Box, ...], rng: np.random.Generator, *, taught: bool = False, sure: float = 0.5) -> Dense:
    """Each box a little off, and as many that are not there; where an image was learnt from, all of them as sure as can be."""
    there = np.array([[b.x, b.y, b.x + b.width, b.y + b.height] for b in boxes]).reshape(-1, 4)
    near = np.clip(there + rng.normal(0, 0.01, there.shape), 0, 1)
    low = rng.uniform(0, 0.8, (2, 2))
    corners = np.concatenate([near, np.concatenate([low, low + 0.1], axis=1)])
    right = np.arange(len(corners)) < len(near)
    scores = np.where(right, rng.uniform(sure, 0.9, len(corners)), rng.uniform(0.05, sure, len(corners)))
    names = [NAMES[CLASSES.index(box.label)] for box in boxes] + [NAMES[0]] * 2
    return pack_detections((120, 240), ROW, names, corners, np.where(taught, 0.99, scores), taught=taught)


def items(count: int, seed: int = 0, *, taught: bool = False) -> tuple[list[Dense], list[BoxesTarget]]:
    rng = np.random.default_rng(seed)
    targets = [BoxesTarget(made_boxes(rng, number % 3)) for number in range(count)]
    return [findings(target.boxes, rng, taught=taught) for target in targets], targets


def trained(inputs: list[Dense], targets: list[BoxesTarget], **options: object) -> DetectedBoxesLearner:
    return DetectedBoxesLearner.train(Training(inputs, targets, CLASSES, options=TrainingOptions(**options)))  # type: ignore[arg-type]


INPUTS, TARGETS = items(30)
OTHERS, TRUTHS = items(20, seed=1)


def test_findings_are_read_as_they_were_laid_out() -> None:
    corners = np.array([[0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 1.0, 1.0]])
    found = read_detections(pack_detections((7, 9), ROW, NAMES, corners, np.array([0.2, 0.9]), taught=True))

    assert (found.height, found.width, found.taught) == (7, 9, True)
    assert found.row.tolist() == ROW.tolist()
    assert found.names.tolist() == [NAMES[1], NAMES[0]], "the best comes first"
    assert np.abs(found.corners - corners[::-1]).max() < 2**-16
    assert np.allclose(1 / (1 + np.exp(-found.logits)), [0.9, 0.2], atol=1e-3)


def test_scores_of_any_size_and_numbers_out_of_range_stay_finite() -> None:
    corners = np.array([[-1.0, 0.2, 2.0, 0.4], [0.0, 0.0, 1.0, 1.0]])
    found = read_detections(pack_detections((7, 9), ROW * 1e9, NAMES, corners, np.array([0.0, 1.0]), taught=False))

    assert np.isfinite(found.logits).all()
    assert np.isfinite(found.row).all()
    assert found.corners.min() >= 0
    assert found.corners.max() <= 1


def test_without_a_label_the_detector_is_taken_at_its_word() -> None:
    learner = trained([], [])
    (said,) = learner.predict([findings((Box("bar", 0.2, 0.2, 0.5, 0.3),), np.random.default_rng(0))])

    assert learner.cv_metrics is None
    assert learner.scoring.threshold == THRESHOLD
    assert [box.label for box in said.boxes][:1] == ["bar"]
    assert (said.height, said.width) == (120, 240)


def test_a_label_stands_for_what_the_detector_calls_otherwise() -> None:
    names = ["person", "traffic light", "car"]
    labels, synonyms = ("Traffic_Light", "Vehicle", "Cat"), (("car", "Vehicle"), ("truck", "Vehicle"), ("dog", "gone"))

    assert known_labels(names, labels, synonyms) == ("Traffic_Light", "Vehicle")
    assert known_labels(names, ("Cat",)) == ()
    columns = columns_by_name(labels, synonyms)
    assert columns[name_number("truck")] == columns[name_number("car")] == 1
    assert columns_by_name(("a", "A"))[name_number("a")] == 0, "a name that is spelt the same comes first"
    learner = DetectedBoxesLearner.train(Training([], [], labels, options=TrainingOptions(synonyms=synonyms)))
    seen = pack_detections(
        (10, 10),
        ROW,
        [name_number("car"), name_number("truck"), name_number("person")],
        np.array([[0.1, 0.1, 0.5, 0.5], [0.1, 0.1, 0.5, 0.52], [0.6, 0.6, 0.9, 0.9]]),
        np.array([0.9, 0.8, 0.7]),
        taught=False,
    )
    (said,) = learner.predict([seen])
    assert [box.label for box in said.boxes] == ["Vehicle"], "one object under two names is one, and another's is none"


def test_it_learns_what_scores_are_worth() -> None:
    learner = trained(INPUTS, TARGETS)
    figures = learner.evaluate(OTHERS, TRUTHS)

    assert learner.cv_metrics is not None
    assert learner.cv_metrics.items == len(INPUTS)
    assert figures.source == "holdout"
    assert figures.value > 0.9
    assert learner.quality(OTHERS, TRUTHS).mean() > 0.9
    assert trained([], []).quality(OTHERS, TRUTHS).mean() < learner.quality(OTHERS, TRUTHS).mean()
    assert learner.probabilities(OTHERS) is None


def test_images_it_has_learnt_from_tell_nothing_of_others() -> None:
    taught, targets = items(30, taught=True)
    assert trained(taught, targets).cv_metrics is None
    assert trained([*taught, *INPUTS], [*targets, *TARGETS]).predict(OTHERS) == trained(INPUTS, TARGETS).predict(OTHERS)


def test_what_is_restored_says_the_same_to_the_last_bit() -> None:
    for learner in (trained(INPUTS, TARGETS), trained([], [])):
        again = DetectedBoxesLearner.from_arrays(learner.arrays(), learner.meta())
        assert again.predict(OTHERS) == learner.predict(OTHERS)
        assert again.meta() == learner.meta()


def test_an_image_in_which_nothing_is_found_is_neither_sure_nor_hopeless() -> None:
    nothing = pack_detections((10, 10), ROW, [], np.zeros((0, 4)), np.zeros(0), taught=False)
    faint = pack_detections((10, 10), ROW, NAMES[:1], np.array([[0.1, 0.1, 0.5, 0.5]]), np.array([0.1]), taught=False)
    learner = trained([], [])
    empty, nearly = learner.predict([nothing, faint])

    assert empty.boxes == nearly.boxes == ()
    assert 0 < empty.uncertainty < nearly.uncertainty < 1


def test_labels_of_another_config_are_counted_as_missed() -> None:
    learner = trained(INPUTS, TARGETS)
    added = replace(TRUTHS[1], boxes=(Box("new", 0.1, 0.1, 0.2, 0.2),))
    assert learner.quality(OTHERS[1:2], [added])[0] == 0


def test_what_could_not_be_decoded_is_left_out_of_training_and_refused_in_predicting() -> None:
    learner = trained([EMPTY, *INPUTS], [TARGETS[0], *TARGETS])
    assert learner.predict(OTHERS) == trained(INPUTS, TARGETS).predict(OTHERS)
    with pytest.raises(LearningError, match="could not be decoded"):
        learner.predict([EMPTY])
    with pytest.raises(LearningError, match="1 targets"):
        trained(INPUTS[:2], TARGETS[:1])


def test_a_detector_that_finds_nothing_is_none() -> None:
    nothing = pack_detections((10, 10), ROW, [], np.zeros((0, 4)), np.zeros(0), taught=False)
    with pytest.raises(NotEnoughLabels, match="finds nothing in any of the 2"):
        trained([nothing] * 2, TARGETS[:2])


def test_one_labelled_image_changes_nothing_yet() -> None:
    assert trained(INPUTS[1:2], TARGETS[1:2]).predict(OTHERS) == trained([], []).predict(OTHERS)
    assert DetectedBoxesLearner.train(Training(INPUTS, TARGETS, ())).predict(OTHERS)[0].boxes == ()
