"""Near-duplicates are found whatever the scale of the features, and strangers are left apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelloop.learning.preparation import near_duplicate_groups, near_duplicates
from labelloop.learning.preparation.near_duplicates import _merged


def _strangers(rows: int, columns: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


def test_strangers_are_alone() -> None:
    assert near_duplicate_groups(_strangers(300)).tolist() == list(range(300))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_slightly_changed_copies_are_found_at_every_scale(scale: float) -> None:
    rows = _strangers(200)
    rows[150:160] = rows[20:30] + 0.01 * _strangers(10, seed=1)
    expected = np.arange(200)
    expected[150:160] = np.arange(20, 30)

    assert (near_duplicate_groups(rows * scale + 5 * scale) == expected).all()


def test_no_pair_is_missed_among_many_rows() -> None:
    """Rows are compared in blocks along one direction and in fewer directions; all pairs at once are the oracle."""
    rows = _strangers(1500, 100)
    rows[::7] = rows[1::7][: len(rows[::7])] + 0.02 * _strangers(len(rows[::7]), 100, seed=2)

    groups = near_duplicate_groups(rows)

    assert (groups != np.arange(1500)).sum() == len(rows[::7])
    assert (groups[::7] == groups[1::7]).all()


def test_pairs_that_are_joined_already_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,000 rows that are all near each other there are 499,500 pairs; one row's would do."""
    rows = _strangers(2200)
    rows[1200:] = rows[0] + 0.01 * _strangers(1000, seed=6)
    pairs: list[int] = []

    def counted(joined: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        pairs.append(left.size)
        return _merged(joined, left, right)

    monkeypatch.setattr(near_duplicates, "_merged", counted)
    monkeypatch.setattr(near_duplicates, "PAIRS", 4096)

    assert near_duplicate_groups(rows).tolist() == [*range(1200), *[0] * 1000]
    assert sum(pairs) < 10_000


def test_a_chain_of_near_pairs_is_one_group() -> None:
    rows = _strangers(100)
    step = 0.3 * _strangers(1, seed=3)[0]
    rows[10], rows[20], rows[30] = rows[40] + step, rows[40] + 2 * step, rows[40] + 3 * step

    assert near_duplicate_groups(rows)[[10, 20, 30, 40]].tolist() == [10, 10, 10, 10]


def test_copies_do_not_shrink_the_usual_distance() -> None:
    """With most items there several times, the nearest neighbour of most is a copy at distance 0."""
    rows = np.concatenate([_strangers(50)] * 5)
    rows = np.concatenate([rows, rows[:1] + 0.01 * _strangers(1, seed=4)])

    assert near_duplicate_groups(rows).tolist() == [*(list(range(50)) * 5), 0]


def test_only_equal_rows_are_grouped_when_nothing_else_is_near() -> None:
    rows = _strangers(60)
    rows[40], rows[41] = rows[5], rows[6] + 0.01 * _strangers(1, seed=5)[0]

    assert near_duplicate_groups(rows, near=0).tolist() == [*range(40), 5, *range(41, 60)]


def test_rows_that_are_not_finite_are_alone() -> None:
    rows = np.ones((5, 3), dtype=np.float32)
    rows[1, 2], rows[3] = np.nan, np.inf

    assert near_duplicate_groups(rows).tolist() == [0, 1, 0, 3, 0]


@pytest.mark.parametrize(("rows", "groups"), [(0, []), (1, [0]), (2, [0, 0])])
def test_few_rows(rows: int, groups: list[int]) -> None:
    assert near_duplicate_groups(np.ones((rows, 4), dtype=np.float32)).tolist() == groups


def test_two_different_rows_are_two_groups() -> None:
    assert near_duplicate_groups(_strangers(2)).tolist() == [0, 1]


@given(st.integers(0, 40), st.integers(1, 5), st.integers(0, 99))
def test_every_group_is_named_by_its_first_row(rows: int, columns: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 3, size=(rows, columns)).astype(np.float32)
    groups = near_duplicate_groups(values)

    assert (groups <= np.arange(rows)).all()
    assert (groups[groups] == groups).all()
    assert (groups == near_duplicate_groups(values)).all()
