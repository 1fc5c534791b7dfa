"""Where regions are asked about one by one, each piece of an area is a region of its own."""

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labelloop.labelstudio.outlines import least_piece
from labelloop.labelstudio.pieces import in_pieces
from labelloop.records import ClassPrediction, Mask, MasksPrediction
from labelloop.records.masks import union


def pieces(*masks: Mask) -> tuple[Mask, ...]:
    found = in_pieces(MasksPrediction(masks, 0.9, 0.1))
    assert isinstance(found, MasksPrediction)
    assert (found.confidence, found.uncertainty) == (0.9, 0.1)
    return found.masks


def test_what_hangs_together_is_one_region() -> None:
    inside = np.zeros((20, 30), dtype=bool)
    inside[0:5, 0:5] = inside[10:20, 25:30] = inside[12:14, 2:9] = True
    found = pieces(Mask.of("a", inside, 0.7))
    assert [int(mask.inside().sum()) for mask in found] == [25, 50, 14]
    assert {(mask.label, mask.score, mask.height, mask.width) for mask in found} == {("a", 0.7, 20, 30)}


def test_pieces_of_several_classes_stay_of_their_class() -> None:
    halves = np.zeros((10, 10), dtype=bool)
    halves[:, :3] = halves[:, 6:] = True
    found = pieces(Mask.of("a", halves), Mask.of("b", ~halves))
    assert [mask.label for mask in found] == ["a", "a", "b"]


def test_specks_are_left_out_and_areas_without_pixels_too() -> None:
    inside = np.zeros((400, 400), dtype=bool)
    inside[5, 5:8] = inside[50:60, 50:60] = True
    assert [int(mask.inside().sum()) for mask in pieces(Mask.of("a", inside), Mask.of("b", inside & False))] == [100]


def test_other_answers_are_left_as_they_are() -> None:
    said = ClassPrediction("a", 0.9, 0.1)
    assert in_pieces(said) is said


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_pieces_are_the_area_again_each_in_the_form_of_any_mask(inside: np.ndarray) -> None:
    found = pieces(Mask.of("a", inside))
    drawn = [mask.inside() for mask in found]
    together = np.sum(drawn, axis=0) if drawn else np.zeros(inside.shape, dtype=int)
    assert together.max(initial=0) <= 1
    assert not (together.astype(bool) & ~inside).any()
    assert all(mask.runs == Mask.of("a", one).runs for mask, one in zip(found, drawn, strict=True))
    assert all(one.sum() >= least_piece(inside.size) for one in drawn)


@given(arrays(bool, st.tuples(st.integers(0, 9), st.integers(0, 9))), st.integers(0, 3), st.integers(0, 3))
def test_an_area_may_be_told_by_a_part_of_its_image(inside: np.ndarray, top: int, left: int) -> None:
    whole = np.pad(inside, ((top, 2), (left, 1)))
    assert Mask.of("a", inside, corner=(top, left), size=whole.shape) == Mask.of("a", whole)


@given(st.data(), st.integers(1, 9), st.integers(1, 9))
def test_what_several_areas_hold_together_is_that_of_the_nearest_pixels(
    data: st.DataObject, height: int, width: int
) -> None:
    areas = st.one_of(arrays(bool, (5, 7)), arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14))))
    drawn = data.draw(st.lists(areas, max_size=4))
    right = np.zeros((height, width), dtype=bool)
    for row, column in np.ndindex(height, width):
        right[row, column] = any(
            one[int((row + 0.5) * one.shape[0] / height), int((column + 0.5) * one.shape[1] / width)] for one in drawn
        )

    assert (union([Mask.of("a", one) for one in drawn], height, width) == right).all()


def test_areas_of_a_large_image_are_joined_at_the_size_that_is_wanted() -> None:
    """A photograph of 12 megapixels with 300 regions took seconds to learn from, at every round."""
    side, run = 20_000, 9_000
    # All of them begin in the row that is the nearest one to the first that is wanted.
    starts = range(10 * side, 10 * side + 900, 9)
    masks = [Mask("a", side, side, (start, run, side**2 - run - start)) for start in starts]
    tracemalloc.start()
    joined = union(masks, 1000, 1000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert joined[0, :450].all()
    assert joined.sum() < 500
    assert most < 32 * 2**20


@given(arrays(bool, st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_the_pixels_of_a_mask_are_those_inside(inside: np.ndarray) -> None:
    mask, there = Mask.of("a", inside), np.flatnonzero(inside)
    assert mask.pixels(100).tolist() == there.tolist()
    drawn = mask.pixels(5)
    assert len(drawn) == min(5, len(there))
    assert set(drawn) <= set(there)
    assert (drawn == mask.pixels(5)).all()
