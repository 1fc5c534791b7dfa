"""Strategies that scikit-activeml has too choose what it chooses."""

from dataclasses import replace

import numpy as np
import pytest

from labelloop.learning import MEASURES, STRATEGIES, Pool
from labelloop.learning.acquisition.distance import distances
from labelloop.learning.acquisition.probcover import _greedy_cover, _radius
from labelloop.learning.uncertainty import disagreement
from support.strategy_questions import made_pool

peers = pytest.importorskip("skactiveml.pool", reason="scikit-activeml is not installed")

ROWS, LABELLED, BATCH = 70, 6, 15


def _both(labelled: int, seed: int) -> tuple[Pool, np.ndarray, np.ndarray]:
    """A pool, and its rows with the labelled ones behind them, of length 1, as a peer takes them, with its labels."""
    pool = replace(made_pool(ROWS, labelled=labelled, seed=seed), batch=BATCH)
    rows = np.vstack([pool.features, pool.labelled]).astype(np.float64) - pool.features.mean(axis=0)
    labels = np.concatenate([np.full(ROWS, np.nan), np.zeros(labelled)])
    return pool, rows / np.linalg.norm(rows, axis=1, keepdims=True), labels


@pytest.mark.parametrize("labelled", [0, LABELLED])
@pytest.mark.parametrize("seed", range(3))
def test_max_herding_stands_for_as_much(labelled: int, seed: int) -> None:
    """Two rows that stand for each other alone are a tie, so the picks are compared by what they reach."""
    pool, rows, labels = _both(labelled, seed)
    peer = peers.MaxHerding(normalize_samples=False, metric_dict={"gamma": 1.0}, random_state=0)
    similar = np.exp(-np.square(distances(rows, rows)))
    theirs = peer.query(rows, labels, batch_size=BATCH)
    ours = STRATEGIES["max_herding"].order(pool, 0)[:BATCH]

    for place in range(1, BATCH + 1):
        reached = [
            similar[[*picks[:place], *range(ROWS, ROWS + labelled)]].max(axis=0).mean() for picks in (ours, theirs)
        ]
        assert reached[0] == pytest.approx(reached[1], abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_coreset_picks_the_same(seed: int) -> None:
    pool, rows, labels = _both(LABELLED, seed)

    theirs = peers.CoreSet(random_state=0).query(rows, labels, batch_size=BATCH)
    assert STRATEGIES["coreset"].order(pool, 0)[:BATCH].tolist() == theirs.tolist()


def test_probcover_covers_the_most_with_each_pick() -> None:
    _, rows, _ = _both(0, 0)
    balls = distances(rows, rows) <= 0.8
    uncovered = np.ones(ROWS, dtype=bool)

    for pick in _greedy_cover(balls, uncovered):
        counts = (balls & uncovered).sum(axis=1)
        assert counts[pick] == counts.max() > 0
        uncovered &= ~balls[pick]
    assert not uncovered.any()


def test_probcover_takes_the_largest_pure_radius() -> None:
    generator = np.random.default_rng(0)
    apart = distances(*[generator.normal(size=(ROWS, 3)).astype(np.float32)] * 2)
    kinds = generator.integers(3, size=ROWS)

    def purity(radius: float) -> float:
        return float(np.mean([len(set(kinds[row <= radius])) == 1 for row in apart]))

    radius = _radius(apart, kinds)
    larger = [value for value in np.unique(apart) if value > radius * (1 + 1e-5)]
    assert purity(radius) >= 0.95
    assert purity(larger[0]) < 0.95


@pytest.mark.parametrize(
    ("name", "method", "scale"),
    [
        ("margin", "margin_sampling", 1.0),
        ("least_confidence", "least_confident", 1 - 1 / 5),
        ("entropy", "entropy", np.log(5)),
    ],
)
def test_uncertainties_are_the_same_but_for_the_scale(name: str, method: str, scale: float) -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(5), size=40)

    theirs = peers.uncertainty_scores(probabilities, method=method)
    assert MEASURES[name](probabilities) * scale == pytest.approx(theirs)


def test_disagreement_is_the_mutual_information_but_for_the_scale() -> None:
    members = np.random.default_rng(0).dirichlet(np.ones(4), size=(6, 30))

    theirs = peers.batch_bald(members, batch_size=1)[0]
    assert disagreement(members) * np.log(4) == pytest.approx(theirs)
