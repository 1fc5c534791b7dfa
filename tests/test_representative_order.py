"""Coverage and TypiClust: what they show first when no model is to be trusted yet."""

import numpy as np
import pytest

from labelloop.learning import STRATEGIES, Pool
from labelloop.learning.acquisition import pool as pool_module
from labelloop.learning.acquisition.coverage import greedy_medoids
from support.strategy_questions import clusters

COLD = ("coverage", "max_herding", "typiclust")


@pytest.mark.parametrize("name", COLD)
@pytest.mark.parametrize("seed", range(3))
def test_every_cluster_is_seen_first(name: str, seed: int) -> None:
    features, member = clusters([60, 30, 30, 20, 20, 12, 12, 12, 12, 12])

    assert len(set(member[STRATEGIES[name].order(Pool(features), seed)[:10]])) == 10


@pytest.mark.parametrize("name", [*COLD, "probcover", "coreset"])
def test_labelled_clusters_are_covered_already(name: str) -> None:
    features, member = clusters([40] * 8)
    labelled, _ = clusters([5] * 8, seed=1)
    order = STRATEGIES[name].order(Pool(features, labelled=labelled[:20], classes=8), 0)  # of the first four

    assert set(member[order[:4]]) == {4, 5, 6, 7}


@pytest.mark.parametrize("name", COLD)
def test_outliers_do_not_come_first(name: str) -> None:
    features, _ = clusters([50] * 5)
    outliers = np.random.default_rng(2).normal(size=(5, 12)).astype(np.float32) * 8
    order = STRATEGIES[name].order(Pool(np.concatenate([features, outliers])), 0)

    assert (order[:5] < 250).all()


@pytest.mark.parametrize("seed", range(3))
def test_coverage_is_the_greedy_choice(seed: int) -> None:
    """Each pick, recomputed from scratch, leaves the smallest sum of distances to the nearest pick."""
    rows = np.random.default_rng(seed).normal(size=(40, 5))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    apart = np.linalg.norm(rows[:, None].astype(np.float64) - rows[None], axis=2)
    nearest = np.full(40, apart.max())
    order = greedy_medoids(apart, nearest)
    for place, pick in enumerate(order[:15]):
        left = np.minimum(nearest[:, None], apart).sum(axis=0)
        assert left[pick] == pytest.approx(left.min(), abs=1e-4), place
        nearest = np.minimum(nearest, apart[:, pick])


@pytest.mark.parametrize("name", COLD)
def test_large_pool_is_ordered_by_a_sample(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "SAMPLE", 100)
    features, member = clusters([200] * 6)
    order = STRATEGIES[name].order(Pool(features), 0)

    assert np.unique(order).size == 1200
    assert len(set(member[order[:6]])) >= 5


@pytest.mark.parametrize("name", COLD)
def test_copies_of_one_item_do_not_crowd_the_front(name: str) -> None:
    features, member = clusters([10] * 6)
    copies = np.repeat(features[:1], 100, axis=0)
    order = STRATEGIES[name].order(Pool(np.concatenate([features, copies])), 0)
    cluster = np.concatenate([member, np.zeros(100, dtype=int)])[order[:6]]

    assert (cluster == 0).sum() <= 2


@pytest.mark.parametrize("name", COLD)
def test_labelled_rows_that_are_not_finite_are_ignored(name: str) -> None:
    features, _ = clusters([10] * 4)
    labelled = np.concatenate([features[:3], np.full((2, 12), np.nan, dtype=np.float32)])

    assert (
        STRATEGIES[name].order(Pool(features, labelled=labelled), 0)
        == STRATEGIES[name].order(Pool(features, labelled=labelled[:3]), 0)
    ).all()
