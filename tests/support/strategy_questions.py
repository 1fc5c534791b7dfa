"""What every query strategy is asked; a test class of a strategy inherits it and gives the strategy's name."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from labelloop.errors import LearningError
from labelloop.learning import STRATEGIES, Pool, Strategy
from labelloop.learning.acquisition import Need

CLASSES = 3
NO_MODEL = {"uncertainty": None, "probabilities": None, "members": None, "skill": None}


def made_pool(rows: int, columns: int = 6, labelled: int = 0, seed: int = 0, classes: int = CLASSES) -> Pool:
    """A pool that has everything, of random numbers."""
    generator = np.random.default_rng(seed)
    members = generator.dirichlet(np.ones(classes), size=(2, rows))
    return Pool(
        generator.normal(size=(rows, columns)).astype(np.float32),
        generator.random(rows),
        generator.normal(size=(labelled, columns)).astype(np.float32),
        members.mean(axis=0),
        members,
        generator.integers(classes, size=labelled),
        classes,
        skill=0.6,
        batch=10,
    )


def equal_pool(rows: int = 60) -> Pool:
    """A pool whose items nothing tells apart."""
    probabilities = np.full((rows, 2), 0.5)
    return Pool(
        np.ones((rows, 3), np.float32), np.full(rows, 0.5), np.zeros((0, 0)), probabilities, probabilities[None]
    )


def clusters(sizes: list[int], seed: int = 0, spread: float = 0.15) -> tuple[np.ndarray, np.ndarray]:
    """Rows of well separated clusters, and which cluster each is of."""
    generator = np.random.default_rng(seed)
    centres = np.eye(len(sizes), 12) * 3
    member = np.repeat(np.arange(len(sizes)), sizes)
    points = centres[member] + generator.normal(size=(member.size, 12)) * spread
    return points.astype(np.float32), member


def is_permutation(order: np.ndarray, rows: int) -> bool:
    """Whether the order holds each of 0..rows-1 once."""
    return order.shape == (rows,) and bool((np.sort(order) == np.arange(rows)).all())


class StrategyQuestions:
    """The questions."""

    name: ClassVar[str]

    @property
    def strategy(self) -> Strategy:
        return STRATEGIES[self.name]

    @pytest.mark.parametrize("rows", [0, 1, 2, 3, 150])
    @pytest.mark.parametrize("labelled", [0, 1, 40])
    def test_order_is_total(self, rows: int, labelled: int) -> None:
        assert is_permutation(self.strategy.order(made_pool(rows, labelled=labelled), 0), rows)

    @pytest.mark.parametrize("batch", [1, 7, 1000])
    def test_batch_may_be_larger_than_the_pool(self, batch: int) -> None:
        assert is_permutation(self.strategy.order(replace(made_pool(30, labelled=20), batch=batch), 0), 30)

    def test_exhausted_pool_has_an_empty_order(self) -> None:
        assert self.strategy.order(made_pool(0, labelled=30), 0).size == 0

    def test_one_class_is_enough(self) -> None:
        pool = made_pool(30, labelled=12, classes=1)
        assert is_permutation(self.strategy.order(replace(pool, uncertainty=None), 0), 30)

    def test_same_seed_same_order_and_another_seed_another(self) -> None:
        assert (self.strategy.order(made_pool(90), 3) == self.strategy.order(made_pool(90), 3)).all()
        assert (self.strategy.order(equal_pool(), 1) == self.strategy.order(equal_pool(), 1)).all()
        assert (self.strategy.order(equal_pool(), 1) != self.strategy.order(equal_pool(), 2)).any()

    def test_ties_do_not_follow_the_order_of_the_pool(self) -> None:
        """A pool is often sorted by class, so its own order would serve one class first."""
        assert (self.strategy.order(equal_pool(), 0)[:10] >= 10).any()

    def test_ties_do_not_follow_the_order_of_the_pool_once_there_are_labels(self) -> None:
        pool = equal_pool()
        order = self.strategy.order(replace(pool, labelled=pool.features[:20]), 0)
        assert is_permutation(order, 60)
        assert (order[:10] >= 10).any()

    def test_rows_that_are_not_finite_come_last(self) -> None:
        pool = made_pool(30, labelled=15)
        pool.features[[4, 9], 0] = [np.nan, np.inf]

        assert set(self.strategy.order(pool, 0)[-2:]) == {4, 9}

    def test_pool_of_unusable_rows_alone_is_still_ordered(self) -> None:
        assert is_permutation(self.strategy.order(Pool(np.full((5, 2), np.nan), np.ones(5)), 0), 5)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_predictions_that_are_not_finite_crash_nothing(self, value: float) -> None:
        pool = made_pool(30, labelled=15)
        for given in (pool.uncertainty, pool.probabilities, pool.members):
            assert given is not None
            given[..., 3:6] = value
            if given.ndim > 1:
                given[..., 7, :] = value
        pool.labelled[2] = value

        assert is_permutation(self.strategy.order(pool, 0), 30)
        assert is_permutation(self.strategy.order(replace(pool, uncertainty=None), 0), 30)

    def test_labelled_rows_none_of_which_is_finite_are_as_good_as_none(self) -> None:
        pool = made_pool(30, labelled=30)
        pool.labelled[:] = np.nan
        assert is_permutation(self.strategy.order(pool, 0), 30)

    def test_rows_of_two_kinds_alone_are_ordered(self) -> None:
        pool = made_pool(40, labelled=20)
        pool.features[:] = pool.features[0]
        pool.features[::2] += 1
        assert is_permutation(self.strategy.order(pool, 0), 40)

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_dtype_does_not_matter(self, dtype: type) -> None:
        pool = made_pool(40, labelled=15)
        assert is_permutation(self.strategy.order(replace(pool, features=pool.features.astype(dtype)), 0), 40)

    def test_pool_is_left_as_it_was(self) -> None:
        pool, same = made_pool(40, labelled=15), made_pool(40, labelled=15)
        self.strategy.order(pool, 0, balance=0.5, apart=0.5)

        for field in ("features", "uncertainty", "labelled", "probabilities", "members", "labels"):
            assert (getattr(pool, field) == getattr(same, field)).all(), field

    def test_fifty_thousand_rows_are_ordered(self) -> None:
        assert is_permutation(self.strategy.order(made_pool(50_000, columns=32, labelled=300), 0), 50_000)

    def test_what_it_needs_is_asked_for(self) -> None:
        pool = replace(made_pool(20), **NO_MODEL)
        if self.strategy.need is Need.NOTHING:
            assert is_permutation(self.strategy.order(pool, 0), 20)
        else:
            with pytest.raises(LearningError, match=f"'{self.name}' needs .*{self.strategy.need.value}"):
                self.strategy.order(pool, 0)

    def test_near_copies_can_be_sent_to_the_back(self) -> None:
        pool = made_pool(40, columns=12, labelled=15)
        pool.features[10:15] = pool.features[:5] + 1e-4
        pool.features[15] = pool.labelled[0]
        order = self.strategy.order(pool, 0, apart=0.05)

        assert is_permutation(order, 40)
        back = set(order[-6:].tolist())
        assert 15 in back
        assert all(len(back & {row, row + 10}) == 1 for row in range(5))

    def test_rare_classes_can_be_given_a_share_of_the_places(self) -> None:
        pool = made_pool(200, labelled=12)
        assert pool.probabilities is not None
        pool.probabilities[:] = [0.5, 0.4, 0.1]
        pool.probabilities[:10] = [0.1, 0.3, 0.6]  # the only ones taken for the last class
        pool = replace(pool, labels=np.array([0] * 6 + [1] * 6))

        order = self.strategy.order(pool, 0, balance=0.5)
        assert is_permutation(order, 200)
        assert (order[:12] < 10).sum() >= 6
