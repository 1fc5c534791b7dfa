"""Every query strategy is asked the same questions."""

import numpy as np
import pytest

from labelloop.errors import LearningError
from labelloop.learning import STRATEGIES, Pool, rank_scores, strategy_named

NEED_A_MODEL = {"margin", "least_confidence", "entropy"}


def _pool(rows: int, columns: int = 6, labelled: int = 0, seed: int = 0) -> Pool:
    generator = np.random.default_rng(seed)
    return Pool(
        generator.normal(size=(rows, columns)).astype(np.float32),
        generator.random(rows),
        generator.normal(size=(labelled, columns)).astype(np.float32),
    )


def _is_permutation(order: np.ndarray, rows: int) -> bool:
    return order.shape == (rows,) and bool((np.sort(order) == np.arange(rows)).all())


@pytest.fixture(params=sorted(STRATEGIES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 150])
@pytest.mark.parametrize("labelled", [0, 1, 40])
def test_order_is_total(name: str, rows: int, labelled: int) -> None:
    assert _is_permutation(STRATEGIES[name].order(_pool(rows, labelled=labelled), 0), rows)


def test_same_seed_same_order_and_another_seed_another(name: str) -> None:
    equal = Pool(np.ones((60, 3), dtype=np.float32), np.full(60, 0.5))
    strategy = STRATEGIES[name]

    assert (strategy.order(_pool(90), 3) == strategy.order(_pool(90), 3)).all()
    assert (strategy.order(equal, 1) == strategy.order(equal, 1)).all()
    assert (strategy.order(equal, 1) != strategy.order(equal, 2)).any()


def test_ties_do_not_follow_the_order_of_the_pool(name: str) -> None:
    """A pool is often sorted by class, so its own order would serve one class first."""
    order = STRATEGIES[name].order(Pool(np.ones((60, 3), dtype=np.float32), np.full(60, 0.5)), 0)

    assert (order[:10] >= 10).any()


def test_rows_that_are_not_finite_come_last(name: str) -> None:
    pool = _pool(30)
    pool.features[[4, 9], 0] = [np.nan, np.inf]

    assert set(STRATEGIES[name].order(pool, 0)[-2:]) == {4, 9}


def test_pool_of_unusable_rows_alone_is_still_ordered(name: str) -> None:
    assert _is_permutation(STRATEGIES[name].order(Pool(np.full((5, 2), np.nan), np.ones(5)), 0), 5)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_does_not_matter(name: str, dtype: type) -> None:
    pool = _pool(40)
    assert _is_permutation(STRATEGIES[name].order(Pool(pool.features.astype(dtype), pool.uncertainty), 0), 40)


def test_pool_is_left_as_it_was(name: str) -> None:
    pool, same = _pool(40, labelled=5), _pool(40, labelled=5)
    STRATEGIES[name].order(pool, 0)

    assert (pool.features == same.features).all()
    assert (pool.labelled == same.labelled).all()


def test_fifty_thousand_rows_take_seconds(name: str) -> None:
    assert _is_permutation(STRATEGIES[name].order(_pool(50_000, columns=64, labelled=300), 0), 50_000)


@pytest.mark.parametrize("name", sorted(NEED_A_MODEL))
def test_most_uncertain_comes_first(name: str) -> None:
    pool = Pool(np.zeros((4, 1), dtype=np.float32), np.array([0.2, 0.9, np.nan, 0.5]))

    assert STRATEGIES[name].order(pool, 0).tolist() == [2, 1, 3, 0]


@pytest.mark.parametrize("name", sorted(NEED_A_MODEL))
def test_uncertainty_is_asked_for(name: str) -> None:
    with pytest.raises(LearningError, match="needs a trained model"):
        STRATEGIES[name].order(Pool(np.zeros((4, 1), dtype=np.float32)), 0)


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - NEED_A_MODEL))
def test_cold_strategy_needs_no_model(name: str) -> None:
    assert _is_permutation(STRATEGIES[name].order(Pool(_pool(20).features), 0), 20)


def test_unknown_name_says_what_there_is() -> None:
    assert strategy_named("margin").name == "margin"
    with pytest.raises(LearningError, match=r"'badge'.*coverage, entropy, least_confidence, margin, random, typiclust"):
        strategy_named("badge")


def test_scores_make_label_studio_serve_the_order() -> None:
    order = np.array([2, 0, 3, 1])
    scores = rank_scores(order)

    assert np.argsort(scores).tolist() == order.tolist()
    assert ((scores >= 0) & (scores <= 1)).all()
    assert np.unique(scores).size == 4
    assert rank_scores(np.array([], dtype=np.int64)).size == 0


@pytest.mark.parametrize(
    ("features", "uncertainty", "labelled", "message"),
    [
        (np.zeros(3), None, np.zeros((0, 0)), "two-dimensional"),
        (np.zeros((3, 2)), np.zeros(4), np.zeros((0, 0)), "as many uncertainties"),
        (np.zeros((3, 2)), None, np.zeros((1, 5)), "5 columns"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    features: np.ndarray, uncertainty: np.ndarray | None, labelled: np.ndarray, message: str
) -> None:
    with pytest.raises(LearningError, match=message):
        Pool(features, uncertainty, labelled)
