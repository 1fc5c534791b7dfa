"""What is said of regions is learnt from what a backbone says inside them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning import LEARNERS, AskedItems, AttributesLearner, Dense, Training, TrainingOptions
from labelloop.learning.attributes.pooling import pooled
from labelloop.learning.backbones.maps import pack
from labelloop.learning.backbones.tokens import pack_tokens
from labelloop.records import (
    Attribute,
    AttributesTarget,
    Box,
    ClassTarget,
    Kind,
    Mask,
    Part,
    SetTarget,
    Span,
    Target,
    parts_of,
)
from support.made_boxes import CLASSES, made_items

Labelled = tuple[list[Dense], list[AttributesTarget]]


def pictures(count: int, seed: int = 0) -> Labelled:
    """Images with boxes of one class; what is said of each is what it shows."""
    dense, targets = made_items(count, seed)
    boxes = [[(replace(box, label="thing"), box.label) for box in target.boxes] for target in targets]
    shown = [place for place, found in enumerate(boxes) if found]
    said = [
        AttributesTarget(tuple(Attribute(box, ClassTarget(label)) for box, label in boxes[place])) for place in shown
    ]
    return [dense[place] for place in shown], said


def asked(items: Labelled) -> AskedItems:
    return AskedItems(items[0], [parts_of(target) for target in items[1]])


def taught(items: Labelled, **more: object) -> AttributesLearner:
    return AttributesLearner.train(Training(asked(items), items[1], CLASSES, **more))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def learner() -> AttributesLearner:
    return taught(pictures(40))


def words(kinds: Sequence[str], seed: int) -> tuple[Dense, list[Span]]:
    """A text of words of four letters, a channel for each kind of word."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 0.2, (len(kinds), 6))
    values[range(len(kinds)), [CLASSES.index(kind) for kind in kinds]] += 1
    places = [(5 * number, 5 * number + 4) for number in range(len(kinds))]
    return pack_tokens(values, places), [Span("word", *place) for place in places]


def test_what_is_in_a_box_is_learnt_and_said_of_new_ones(learner: AttributesLearner) -> None:
    items = pictures(30, seed=1)
    metrics = learner.evaluate(asked(items), items[1])
    assert metrics.items == sum(len(target.attributes) for target in items[1])
    assert metrics.accuracy > 0.9
    assert learner.cv_metrics is not None
    assert learner.cv_metrics.source == "cross-validation"

    said = learner.predict(asked(items))
    assert [tuple(one.part for one in found.attributes) for found in said] == [parts_of(target) for target in items[1]]
    assert all(0 < one.said.confidence <= 1 for found in said for one in found.attributes)
    assert all(0 <= found.uncertainty <= 1 and 0 < found.confidence <= 1 for found in said)
    quality = learner.quality(asked(items), items[1])
    assert (
        (quality == 1) == [found.summary == _summary(target) for found, target in zip(said, items[1], strict=True)]
    ).all()


def _summary(target: AttributesTarget) -> str:
    return repr([(one.part, one.said.summary) for one in target.attributes])


def test_what_is_in_a_span_is_learnt() -> None:
    texts = [words([CLASSES[(number + place) % 2] for place in range(3)], number) for number in range(30)]
    said = [
        AttributesTarget(
            tuple(Attribute(span, ClassTarget(CLASSES[(number + place) % 2])) for place, span in enumerate(spans))
        )
        for number, (_, spans) in enumerate(texts)
    ]
    items = ([dense for dense, _ in texts], said)
    learner = taught((items[0][:20], said[:20]))
    rest = (items[0][20:], said[20:])
    assert learner.evaluate(asked(rest), rest[1]).accuracy > 0.9


@pytest.mark.parametrize("answer", [Kind.SET, Kind.RATING])
def test_sets_and_ratings_are_learnt_too(answer: Kind) -> None:
    classes = CLASSES if answer is Kind.SET else ("1", "2")
    said: dict[str, Target] = {
        label: SetTarget((label,) if place else ()) if answer is Kind.SET else ClassTarget(str(place + 1))
        for place, label in enumerate(CLASSES)
    }

    def items(count: int, seed: int) -> Labelled:
        dense, targets = pictures(count, seed)
        return dense, [
            AttributesTarget(tuple(replace(one, said=said[one.said.summary]) for one in target.attributes))
            for target in targets
        ]

    lesson, rest = items(40, 0), items(20, 1)
    options = TrainingOptions(answer=answer)
    learner = AttributesLearner.train(Training(asked(lesson), lesson[1], classes, options=options))
    again = AttributesLearner.from_arrays(learner.arrays(), learner.meta())
    assert learner.evaluate(asked(rest), rest[1]).value > 0.8
    assert learner.quality(asked(rest), rest[1]).mean() > 0.8
    assert [one.summary for one in again.predict(asked(rest))] == [one.summary for one in learner.predict(asked(rest))]
    assert again.answer is answer


def test_the_class_that_a_region_has_already_tells_something() -> None:
    """Where the features tell nothing."""
    rng = np.random.default_rng(0)
    dense = [pack(10, 10, [rng.normal(0, 1, (4, 8, 8))]) for _ in range(40)]
    labels = [("cell", "round") if number % 2 else ("rod", "long") for number in range(40)]
    said = [
        AttributesTarget((Attribute(Box(label, 0.1, 0.1, 0.5, 0.5), ClassTarget(shape)),)) for label, shape in labels
    ]
    learner = AttributesLearner.train(
        Training(AskedItems(dense[:30], [parts_of(one) for one in said[:30]]), said[:30], ["round", "long"])
    )
    rest = (dense[30:], said[30:])
    assert learner.drawn == ("cell", "rod")
    assert learner.evaluate(asked(rest), rest[1]).accuracy == 1
    unknown = Box("star", 0.1, 0.1, 0.5, 0.5)
    (found,) = learner.predict(AskedItems(dense[:1], [[unknown]]))
    assert [one.part for one in found.attributes] == [unknown]


def test_an_item_without_a_region_is_certain(learner: AttributesLearner) -> None:
    dense, _ = pictures(2)
    nothing, something = learner.predict(AskedItems(dense[:2], [(), parts_of(pictures(2)[1][1])]))
    assert (nothing.attributes, nothing.uncertainty, nothing.confidence) == ((), 0.0, 1.0)
    assert something.attributes
    assert learner.predict(AskedItems([], [])) == []
    assert [one.attributes for one in learner.predict(AskedItems(dense[:1], [()]))] == [()]


def test_a_sure_region_counts_for_more_than_a_doubtful_one(learner: AttributesLearner) -> None:
    dense, targets = pictures(30, seed=2)
    place = next(place for place, target in enumerate(targets) if len(target.attributes) > 1)
    first, second, *_ = parts_of(targets[place])

    def doubt(*parts: Part) -> float:
        (found,) = learner.predict(AskedItems([dense[place]], [parts]))
        return found.uncertainty

    alone, both = doubt(first), doubt(first, replace(second, score=0.0))
    assert both == pytest.approx(alone, rel=1e-4)  # as near as products of one row and of two are
    assert min(doubt(first), doubt(second)) <= doubt(first, second) <= max(doubt(first), doubt(second))


def test_it_says_the_same_after_it_was_kept(learner: AttributesLearner) -> None:
    items = pictures(5, seed=3)
    again = AttributesLearner.from_arrays(learner.arrays(), learner.meta())
    assert learner.meta()["kind"] == AttributesLearner.kind
    assert [one.summary for one in again.predict(asked(items))] == [
        one.summary for one in learner.predict(asked(items))
    ]
    assert again.cv_metrics == learner.cv_metrics
    assert LEARNERS[Kind.ATTRIBUTES] is AttributesLearner


def test_a_holdout_may_choose(learner: AttributesLearner) -> None:
    items, aside = pictures(20), pictures(20, seed=4)
    assert taught(items, holdout=(asked(aside), aside[1])).evaluate(asked(aside), aside[1]).accuracy > 0.8


def test_what_lies_beside_the_item_is_left_out(learner: AttributesLearner) -> None:
    (dense, *_), (target, *_) = pictures(3)
    beside = Box("thing", 1.5, 0.2, 0.1, 0.1)
    (found,) = learner.predict(AskedItems([dense], [(beside, *parts_of(target))]))
    assert [one.part for one in found.attributes] == list(parts_of(target))
    wrong = AttributesTarget((Attribute(beside, ClassTarget(CLASSES[0])), *target.attributes))
    assert learner.evaluate(AskedItems([dense], [()]), [wrong]).items == len(target.attributes)
    assert learner.quality(AskedItems([dense], [()]), [wrong])[0] < 1


def test_too_few_labels_and_wrong_features_are_told() -> None:
    dense, targets = pictures(10)
    same = [
        AttributesTarget(tuple(replace(one, said=ClassTarget(CLASSES[0])) for one in t.attributes)) for t in targets
    ]
    with pytest.raises(NotEnoughLabels):
        taught((dense, same))
    with pytest.raises(NotEnoughLabels):
        taught(([], []))
    with pytest.raises(LearningError, match="targets for"):
        AttributesLearner.train(Training(asked((dense, targets)), targets[1:], CLASSES))
    other = pack(10, 10, [np.zeros((2, 4, 4))])
    with pytest.raises(LearningError, match="not all of one backbone"):
        taught(([*dense[:-1], other], targets))
    learner = taught((dense, targets))
    with pytest.raises(LearningError):
        learner.predict(AskedItems([other], [parts_of(targets[0])]))
    with pytest.raises(NotEnoughLabels):
        learner.evaluate(AskedItems([], []), [])


def test_a_box_is_read_by_how_much_of_each_cell_lies_in_it() -> None:
    level = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    dense = pack(100, 200, [level])

    def read(x: float, y: float, width: float, height: float, turn: float = 0.0) -> float:
        (row,) = pooled(dense, [Box("a", x, y, width, height, turn)])[0].tolist()
        return float(row[0])

    assert read(0, 0, 1, 1) == pytest.approx(level.mean())
    assert read(0.5, 0.25, 0.25, 0.25) == pytest.approx(6)
    assert read(0.26, 0.26, 0.01, 0.01) == pytest.approx(5)  # smaller than a cell
    assert read(0.125, 0, 0.5, 0.25) == pytest.approx((0.5 * 0 + 1 + 0.5 * 2) / 2)
    # An upright rectangle turned by a quarter about its corner: 0.5 of the height to the left, 0.125 of the width down.
    assert read(0.5, 0, 0.125, 0.5, turn=90) == pytest.approx(read(0.25, 0, 0.25, 0.25))
    assert np.isnan(read(1.2, 0, 0.1, 0.1))


def test_an_area_is_read_by_the_cells_that_its_pixels_lie_in() -> None:
    level = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    dense = pack(100, 200, [level, np.ones((2, 1, 1))])

    def read(height: int, width: int, *inside: tuple[slice, slice]) -> float:
        drawn = np.zeros((height, width), dtype=bool)
        for one in inside:
            drawn[one] = True
        fine, coarse = pooled(dense, [Mask.of("a", drawn)])
        assert coarse.tolist() == [[1, 1]] or not drawn.any()
        return float(fine[0, 0])

    everything = slice(None)
    assert read(100, 200, (everything, everything)) == pytest.approx(level.mean())
    assert read(100, 200, (slice(25, 50), slice(100, 150))) == pytest.approx(6)
    assert read(100, 200, (slice(30, 31), slice(60, 61))) == pytest.approx(5)  # a single pixel
    assert read(100, 200, (slice(0, 25), slice(0, 100)), (slice(75, 100), slice(150, 200))) == pytest.approx(16 / 3)
    assert read(2, 2, (slice(0, 1), slice(1, 2))) == pytest.approx(level[0, 1, 3])  # an image smaller than the map
    assert np.isnan(read(100, 200))
    # Larger than what is looked at pixel by pixel.
    assert read(2000, 2000, (slice(0, 1000), everything)) == pytest.approx(level[0, :2].mean(), abs=0.05)


def test_boxes_and_areas_of_one_image_may_be_asked_about_together() -> None:
    level = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    drawn = np.zeros((4, 4), dtype=bool)
    drawn[3, 3] = True
    mask, box = Mask.of("a", drawn), Box("a", 0.25, 0, 0.25, 0.25)
    rows = pooled(pack(4, 4, [level]), [mask, box, mask, box])[0]
    assert rows[:, 0].tolist() == pytest.approx([15, 1, 15, 1])


def test_what_is_in_an_area_is_learnt() -> None:
    rng = np.random.default_rng(0)
    dense, said = [], []
    for _ in range(40):
        level, attributes = rng.normal(0, 0.3, (4, 8, 8)), []
        for place, label in enumerate(rng.permutation(CLASSES)[: len(CLASSES)]):
            inside = np.zeros((32, 32), dtype=bool)
            inside[4:12, 16 * place + 2 : 16 * place + 10] = True
            level[CLASSES.index(label), 1:3, 4 * place : 4 * place + 3] += 2
            attributes.append(Attribute(Mask.of("thing", inside), ClassTarget(str(label))))
        dense.append(pack(32, 32, [level]))
        said.append(AttributesTarget(tuple(attributes)))
    learner = taught((dense[:25], said[:25]))
    rest = (dense[25:], said[25:])
    assert learner.evaluate(asked(rest), rest[1]).accuracy > 0.9
    assert [parts_of(target) for target in rest[1]] == [
        tuple(one.part for one in found.attributes) for found in learner.predict(asked(rest))
    ]


def test_a_span_is_read_by_the_tokens_that_it_touches() -> None:
    dense = pack_tokens(np.arange(6, dtype=np.float32).reshape(3, 2), [(0, 4), (5, 9), (10, 14)])
    rows = pooled(dense, [Span("a", 0, 4), Span("a", 3, 6), Span("a", 4, 5), Span("a", 0, 99)])[0]
    assert rows[[0, 1, 3]].tolist() == [[0, 1], [1, 2], [2, 3]]
    assert np.isnan(rows[2]).all()


def test_items_are_read_when_they_are_asked_for() -> None:
    dense, targets = pictures(4)
    items = asked((dense, targets))
    assert (len(items), len(items[1:3])) == (4, 2)
    assert items[1:3][0].parts == items[1].parts == parts_of(targets[1])
