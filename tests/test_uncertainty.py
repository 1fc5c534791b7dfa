"""Measures of uncertainty: their formulas, their bounds and their odd inputs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labelloop.errors import LearningError
from labelloop.learning import MEASURES, measure_named

ROWS = np.array([[0.7, 0.2, 0.1], [0.4, 0.4, 0.2]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("margin", [0.5, 1.0]),
        ("least_confidence", [0.45, 0.9]),
        ("entropy", [0.7298466991620975, 0.9602297178607612]),
    ],
)
def test_formula(name: str, expected: list[float]) -> None:
    assert measure_named(name)(ROWS) == pytest.approx(expected)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("classes", [2, 5, 77])
def test_certain_is_zero_and_no_idea_is_one(name: str, classes: int) -> None:
    rows = np.stack([np.eye(classes)[0], np.full(classes, 1 / classes)])

    assert measure_named(name)(rows) == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize("name", MEASURES)
def test_single_class_leaves_no_doubt(name: str) -> None:
    assert measure_named(name)(np.ones((2, 1))) == pytest.approx([0.0, 0.0])


@pytest.mark.parametrize("name", MEASURES)
def test_row_that_is_not_finite_is_no_idea(name: str) -> None:
    assert measure_named(name)(np.array([[np.nan, 0.5], [1.0, 0.0]])) == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize("name", MEASURES)
@given(weights=arrays(np.float64, (4, 6), elements=st.floats(1e-12, 1)))
def test_always_between_zero_and_one(name: str, weights: np.ndarray) -> None:
    values = measure_named(name)(weights / weights.sum(axis=1, keepdims=True))

    assert ((values >= 0) & (values <= 1)).all()


def test_unknown_name_says_what_there_is() -> None:
    with pytest.raises(LearningError, match=r"'doubt'.*entropy, least_confidence, margin"):
        measure_named("doubt")
