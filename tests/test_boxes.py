"""The learner of boxes, on made maps."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from threadpoolctl import threadpool_info, threadpool_limits

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning import (
    LEARNERS,
    BackboneSpec,
    BoxesLearner,
    Dense,
    DenseBackbone,
    Parts,
    Training,
    TrainingOptions,
    load_backbone,
    resolve_backbone,
)
from labelloop.learning.backbones.maps import pack
from labelloop.learning.boxes.decoding import Candidates, decode
from labelloop.records import Box, BoxesTarget, Kind, Modality
from support.made_boxes import CLASSES, made_items, made_maps

INPUTS, TARGETS = made_items(14)
OTHERS, TRUTHS = made_items(12, seed=1)
EMPTY = Dense(np.zeros(0, np.float16), np.zeros(0, np.int32))


def trained(inputs: list[Dense], targets: list[BoxesTarget], seed: int = 0) -> BoxesLearner:
    return BoxesLearner.train(Training(inputs, targets, CLASSES, options=TrainingOptions(seed=seed)))


@pytest.fixture(scope="module", autouse=True)
def _short() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("labelloop.learning.boxes.fitting.LEAST_VISITS", 160)
        patch.setattr("labelloop.learning.boxes.fitting.PASSES", 16)
        yield


@pytest.fixture(scope="module")
def learner(_short: None) -> BoxesLearner:
    return trained(INPUTS, TARGETS)


def test_boxes_are_learnt_by_the_learner_of_boxes() -> None:
    assert LEARNERS[Kind.BOXES] is BoxesLearner


def test_it_finds_in_new_images_what_it_was_shown(learner: BoxesLearner) -> None:
    figures = learner.evaluate(OTHERS, TRUTHS)
    assert (figures.name, figures.items, figures.source) == ("mAP50", len(OTHERS), "holdout")
    assert figures.value > 0.8
    assert figures.interval is not None
    assert figures.interval.low <= figures.value <= figures.interval.high
    assert set(figures.per_class) == set(CLASSES)
    assert figures.others["mAP"] <= figures.value


def test_its_folds_tell_how_good_it_is(learner: BoxesLearner) -> None:
    assert learner.cv_metrics is not None
    assert learner.cv_metrics.source == "cross-validation"
    assert 0.3 < learner.cv_metrics.value <= 1


def test_boxes_lie_within_the_image_with_scores_from_the_threshold_up(learner: BoxesLearner) -> None:
    for said in learner.predict(OTHERS):
        assert (said.height, said.width) == (120, 240)
        assert 0 <= said.uncertainty <= 1
        assert 0 <= said.confidence <= 1
        for box in said.boxes:
            assert learner.scoring.threshold <= box.score <= 1
            assert 0 <= box.x <= box.x + box.width <= 1 + 1e-9
            assert 0 <= box.y <= box.y + box.height <= 1 + 1e-9


def test_what_is_restored_says_the_same_to_the_last_bit(learner: BoxesLearner) -> None:
    again = BoxesLearner.from_arrays(learner.arrays(), learner.meta())
    assert again.predict(OTHERS) == learner.predict(OTHERS)
    assert again.meta() == learner.meta()


def test_the_same_labels_and_seed_make_the_same_learner() -> None:
    one, other = trained(INPUTS[:6], TARGETS[:6]), trained(INPUTS[:6], TARGETS[:6])
    assert one.predict(OTHERS) == other.predict(OTHERS)
    assert trained(INPUTS[:6], TARGETS[:6], seed=1).predict(OTHERS) != one.predict(OTHERS)


def test_the_numerical_libraries_work_in_one_thread(learner: BoxesLearner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside another worker their threads took ten times as long, and what they sum differs from run to run."""
    seen: list[int] = []

    def spied(*args: Any) -> Candidates:
        seen.append(max(pool["num_threads"] for pool in threadpool_info()))
        return decode(*args)

    monkeypatch.setattr("labelloop.learning.boxes.learner.decode", spied)
    with threadpool_limits(2):
        trained(INPUTS[:6], TARGETS[:6])
        learner.predict(OTHERS[:1])
        learner.evaluate(OTHERS[:1], TRUTHS[:1])
        learner.quality(OTHERS[:1], TRUTHS[:1])

    assert seen == [1] * 9


def test_images_without_a_box_teach_where_nothing_is(learner: BoxesLearner) -> None:
    rng = np.random.default_rng(5)
    blank = learner.predict([made_maps((), rng) for _ in range(6)])
    assert sum(len(said.boxes) for said in blank) <= 1
    assert all(0 < said.uncertainty < 0.9 for said in blank)


def test_quality_is_the_f1_of_what_is_shown(learner: BoxesLearner) -> None:
    shown = [BoxesTarget(said.boxes) for said in learner.predict(OTHERS)]
    assert learner.quality(OTHERS, shown).tolist() == [1.0] * len(OTHERS)
    found = next(place for place, target in enumerate(shown) if target.boxes)
    one_more = replace(shown[found], boxes=(*shown[found].boxes, Box("disc", 0.0, 0.0, 0.01, 0.01)))
    count = len(shown[found].boxes)
    assert learner.quality([OTHERS[found]], [one_more])[0] == pytest.approx(2 * count / (2 * count + 1))
    assert learner.quality([OTHERS[found]], [BoxesTarget(())])[0] == 0
    assert learner.quality([], []).shape == (0,)


def test_an_item_has_no_probabilities(learner: BoxesLearner) -> None:
    assert learner.probabilities(OTHERS) is None


def test_one_image_with_one_box_is_enough() -> None:
    first = next(place for place, target in enumerate(TARGETS) if len(target.boxes) >= 1)
    small = trained([INPUTS[first]], [replace(TARGETS[first], boxes=TARGETS[first].boxes[:1])])
    assert small.cv_metrics is None
    assert all(0 <= said.uncertainty <= 1 for said in small.predict(OTHERS))


def test_images_that_are_all_one_colour_teach_nothing_and_break_nothing() -> None:
    even = pack(64, 64, [np.full((3, 24, 24), 0.5, dtype=np.float32)])
    learner = trained([even] * 5, [BoxesTarget((Box("disc", 0.2, 0.2, 0.3, 0.3),))] * 5)

    assert 0 <= learner.predict([even])[0].uncertainty <= 1


def test_images_without_any_box_are_not_enough() -> None:
    for inputs, targets in (([], []), (INPUTS[:3], [BoxesTarget(())] * 3)):
        with pytest.raises(NotEnoughLabels, match="has a box yet"):
            trained(inputs, targets)
    with pytest.raises(NotEnoughLabels, match="has a box yet"):
        trained(INPUTS[:1], [BoxesTarget((Box("disc", 0.5, 0.5, 0.0, 0.2), Box("bar", 1.2, 0.5, 0.1, 0.2)))])
    gone = [BoxesTarget((Box("gone", 0.1, 0.1, 0.5, 0.5),))] * 2
    with pytest.raises(NotEnoughLabels, match="has a box yet"):
        trained(INPUTS[:2], gone)


def test_a_class_without_a_box_is_never_found_and_counts_as_missed() -> None:
    discs = [BoxesTarget(tuple(box for box in target.boxes if box.label == "disc")) for target in TARGETS[:8]]
    one = trained(INPUTS[:8], discs)
    assert {box.label for said in one.predict(OTHERS) for box in said.boxes} <= {"disc"}
    assert one.evaluate(OTHERS, TRUTHS).per_class["bar"]["AP50"] == 0


def test_nothing_to_judge_on_is_said(learner: BoxesLearner) -> None:
    for inputs, targets in (([], []), (OTHERS[:2], [BoxesTarget(())] * 2)):
        with pytest.raises(NotEnoughLabels, match="to judge on"):
            learner.evaluate(inputs, targets)


def test_what_could_not_be_decoded_is_left_out_of_training_and_refused_in_predicting(learner: BoxesLearner) -> None:
    with_one = trained([EMPTY, *INPUTS[:6]], [TARGETS[0], *TARGETS[:6]])
    assert with_one.predict(OTHERS) == trained(INPUTS[:6], TARGETS[:6]).predict(OTHERS)
    with pytest.raises(LearningError, match="could not be decoded"):
        learner.predict([EMPTY])


def test_values_that_are_not_finite_harm_one_place_alone(learner: BoxesLearner) -> None:
    spoilt = OTHERS[0].values.copy()
    spoilt[:3] = np.nan, np.inf, -np.inf
    (said,) = learner.predict([Dense(spoilt, OTHERS[0].places)])
    assert np.isfinite([said.uncertainty, said.confidence, *(box.x for box in said.boxes)]).all()


def test_maps_of_another_backbone_are_refused(learner: BoxesLearner) -> None:
    other = pack(10, 10, [np.zeros((3, 16, 16)), np.zeros((3, 8, 8))])
    with pytest.raises(LearningError, match="another backbone"):
        learner.predict([other])
    with pytest.raises(LearningError, match="targets for the maps"):
        trained(INPUTS[:2], TARGETS[:1])


def test_a_turned_box_is_learnt_as_its_hull(learner: BoxesLearner) -> None:
    upright, turned = Box("disc", 0.2, 0.3, 0.2, 0.4), Box("disc", 0.4, 0.3, 0.2, 0.4, rotation=90.0)
    # Of an image twice as wide as high, 0.2 of the width are 0.4 of the height.
    said = learner.quality([OTHERS[0]] * 2, [BoxesTarget((upright,)), BoxesTarget((turned,))])
    assert said[0] == said[1]


def test_small_boxes_are_looked_for_on_a_finer_grid() -> None:
    rng = np.random.default_rng(4)
    maps = [pack(96, 96, [rng.normal(0, 0.1, (2, 96, 96)), rng.normal(0, 0.1, (2, 48, 48))]) for _ in range(2)]
    small = BoxesTarget((Box("disc", 0.3, 0.4, 0.04, 0.05),))
    large = BoxesTarget((Box("disc", 0.3, 0.4, 0.3, 0.2),))
    assert [trained(maps, [target] * 2).meta()["cells"] for target in (small, large)] == [96, 48]


def test_grids_of_very_many_images_are_made_when_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    held = trained(INPUTS[:6], TARGETS[:6])
    monkeypatch.setattr("labelloop.learning.boxes.grids.HELD_MOST", 0)
    made = trained(INPUTS[:6], TARGETS[:6])

    for name, values in held.arrays().items():
        np.testing.assert_array_equal(made.arrays()[name], values)
    assert made.cv_metrics == held.cv_metrics


def test_heads_learn_of_more_images_than_there_is_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty images of 200 channels take 105 MB as grids; whitened, and sampled to find out how, a part of that."""
    monkeypatch.setattr("labelloop.learning.boxes.grids.HELD_MOST", 0)
    monkeypatch.setattr("labelloop.learning.boxes.fitting.MOST_CELLS", 5_000)
    monkeypatch.setattr("labelloop.learning.boxes.fitting.WIDTH", 8)
    monkeypatch.setattr("labelloop.learning.boxes.fitting.LEAST_VISITS", 4)
    monkeypatch.setattr("labelloop.learning.boxes.fitting.MOST_VISITS", 4)
    rng = np.random.default_rng(0)
    maps = [pack(96, 96, [rng.normal(0, 1, (200, 48, 48)).astype(np.float16)]) for _ in range(60)]
    box = BoxesTarget((Box("disc", 0.3, 0.3, 0.3, 0.3),))
    tracemalloc.start()
    trained(maps, [box] + [BoxesTarget(())] * 59)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 60 * 200 * 48 * 48 * 4 / 2


def test_coloured_shapes_are_found_on_the_plain_maps_of_images() -> None:
    spec = BackboneSpec(Modality.IMAGE, "plain", parts=Parts.MAP)
    backbone: DenseBackbone = load_backbone(spec, resolve_backbone(spec))  # type: ignore[assignment]
    rng = np.random.default_rng(2)
    drawn = [_drawn(rng) for _ in range(10)]
    _, maps = backbone.embed_dense([image for image, _ in drawn])
    targets = [BoxesTarget((box,)) for _, box in drawn]
    learner = trained(maps[:6], targets[:6])
    assert learner.evaluate(maps[6:], targets[6:]).value > 0.6


def _drawn(rng: np.random.Generator) -> tuple[bytes, Box]:
    """A red or a blue square on noise, as a PNG file, and its box."""
    pixels = rng.integers(90, 160, (120, 160, 3), dtype=np.uint8)
    left, top = int(rng.integers(0, 110)), int(rng.integers(0, 70))
    label = CLASSES[int(rng.integers(2))]
    pixels[top : top + 50, left : left + 50] = (220, 20, 20) if label == "disc" else (20, 20, 220)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue(), Box(label, left / 160, top / 120, 50 / 160, 50 / 120)
