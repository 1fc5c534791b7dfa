"""Every query strategy is asked the same questions, and then what is particular to it."""

import tracemalloc
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from labelloop.errors import LearningError
from labelloop.learning import (
    STRATEGIES,
    ClassMetrics,
    Metrics,
    Pool,
    rank_scores,
    scores_along,
    skill,
    strategy_for,
    strategy_named,
)
from labelloop.learning.acquisition import diverse
from labelloop.learning.acquisition.auto import Auto
from labelloop.learning.acquisition.clusters import spread
from labelloop.learning.uncertainty import disagreement
from support.strategy_questions import NO_MODEL, StrategyQuestions, clusters, equal_pool, is_permutation, made_pool


class TestRandom(StrategyQuestions):
    name = "random"

    def test_every_place_is_as_likely(self) -> None:
        first = [STRATEGIES["random"].order(made_pool(10), seed)[0] for seed in range(80)]
        assert np.bincount(first, minlength=10).min() >= 2


class _UncertaintyQuestions(StrategyQuestions):
    first: ClassVar[int]

    def test_most_uncertain_comes_first(self) -> None:
        pool = Pool(np.zeros((4, 1), dtype=np.float32), np.array([0.2, 0.9, np.nan, 0.5]))

        assert self.strategy.order(pool, 0).tolist() == [2, 1, 3, 0]

    def test_it_measures_probabilities_in_its_own_way(self) -> None:
        probabilities = np.array([[0.5, 0.5, 0.0], [0.45, 0.3, 0.25], [0.42, 0.4, 0.18]])
        assert self.strategy.order(Pool(np.eye(3), probabilities=probabilities), 0)[0] == self.first


class TestMargin(_UncertaintyQuestions):
    name, first = "margin", 0


class TestLeastConfidence(_UncertaintyQuestions):
    name, first = "least_confidence", 2


class TestEntropy(_UncertaintyQuestions):
    name, first = "entropy", 1


class TestBald(StrategyQuestions):
    name = "bald"

    def test_members_that_are_sure_of_different_things_come_before_members_that_all_doubt(self) -> None:
        dispute = [[1.0, 0.0], [0.0, 1.0]]
        doubt = [[0.5, 0.5], [0.5, 0.5]]
        members = np.stack([np.array(doubt), np.array(dispute)], axis=1)
        assert STRATEGIES["bald"].order(Pool(np.eye(2), members=members), 0).tolist() == [1, 0]

    def test_what_members_say_is_never_copied_whole(self) -> None:
        members = np.random.default_rng(0).dirichlet(np.ones(50), size=(10, 4000))
        pool = Pool(np.ones((4000, 2), np.float32), members=members)
        tracemalloc.start()
        try:
            order = STRATEGIES["bald"].order(pool, 0)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < members.nbytes
        assert is_permutation(order, 4000)
        assert (np.diff(disagreement(members)[order]) <= 0).all()


class TestCoverage(StrategyQuestions):
    name = "coverage"


class TestMaxHerding(StrategyQuestions):
    name = "max_herding"


class TestTypiClust(StrategyQuestions):
    name = "typiclust"


class TestProbCover(StrategyQuestions):
    name = "probcover"


class TestCoreSet(StrategyQuestions):
    name = "coreset"

    def test_each_pick_is_the_farthest_from_all_picks_and_labels(self) -> None:
        pool = replace(made_pool(80, labelled=5), batch=20)
        centre = pool.features.mean(axis=0)
        rows = _unit(pool.features - centre)
        order = STRATEGIES["coreset"].order(pool, 0)
        taken = _unit(pool.labelled - centre)
        for pick in order[:20]:
            nearest = np.linalg.norm(rows[:, None] - taken[None], axis=2).min(axis=1)
            assert nearest[pick] == pytest.approx(nearest.max(), abs=1e-4)
            taken = np.vstack([taken, rows[pick]])


class TestClue(StrategyQuestions):
    name = "clue"

    def test_a_batch_visits_every_doubtful_cluster_and_no_certain_one(self) -> None:
        pool, member = _doubtful_clusters(certain=(0, 1))
        assert set(member[STRATEGIES["clue"].order(replace(pool, batch=4), 0)[:4]]) == {2, 3, 4, 5}


class TestBadge(StrategyQuestions):
    name = "badge"

    def test_it_draws_from_the_gradients_that_it_never_makes(self) -> None:
        """The first pick, and the row farthest from the batch behind it, are those of the whole n x C*d matrix."""
        pool = replace(made_pool(50, classes=4), batch=2)
        assert pool.probabilities is not None
        order = STRATEGIES["badge"].order(pool, 0)
        errors = pool.probabilities - np.eye(4)[pool.probabilities.argmax(axis=1)]
        rows = _unit(pool.features - pool.features.mean(axis=0))
        gradients = (errors[:, :, None] * rows[:, None, :]).reshape(50, -1)
        assert order[0] == np.linalg.norm(gradients, axis=1).argmax()
        apart = np.linalg.norm(gradients[:, None] - gradients[order[:4]][None], axis=2).min(axis=1)
        assert order[4] == apart.argmax()


class TestFalcun(StrategyQuestions):
    name = "falcun"

    def test_a_batch_is_doubtful_and_differs_in_what_is_doubted(self) -> None:
        kinds = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [1.0, 0.0, 0.0]])
        kind = np.repeat(np.arange(4), 25)
        pool = Pool(made_pool(100).features, probabilities=kinds[kind], batch=3)
        assert set(kind[STRATEGIES["falcun"].order(pool, 0)[:3]]) == {0, 1, 2}


class TestDiverseMargin(StrategyQuestions):
    name = "diverse_margin"

    def test_a_batch_is_from_the_shortlist_and_visits_all_its_clusters(self) -> None:
        pool, member = _doubtful_clusters(certain=(0, 1))
        order = STRATEGIES["diverse_margin"].order(replace(pool, batch=16), 0)
        assert set(member[order[:16]]) == {2, 3, 4, 5}

    def test_a_large_batch_is_spread_in_steps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(diverse, "LARGEST_STEP", 4)
        pool, member = _doubtful_clusters(certain=(0, 1))
        order = STRATEGIES["diverse_margin"].order(replace(pool, batch=16), 0)
        assert is_permutation(order, 120)
        assert set(member[order[:16]]) == {2, 3, 4, 5}

    @pytest.mark.parametrize("kinds", [1, 7])
    def test_few_different_rows_take_no_more_steps_than_many(self, kinds: int, monkeypatch: pytest.MonkeyPatch) -> None:
        runs: list[int] = []

        def counted(rows: np.ndarray, weights: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
            runs.append(count)
            return spread(rows, weights, count, generator)

        monkeypatch.setattr(diverse, "spread", counted)
        pool = replace(equal_pool(300), features=np.eye(kinds + 1, dtype=np.float32)[np.arange(300) % kinds], batch=20)
        order = STRATEGIES["diverse_margin"].order(pool, 0)

        assert is_permutation(order, 300)
        assert runs == [20, 20]
        assert len(set((order[:kinds] % kinds).tolist())) == kinds

    def test_behind_the_chosen_batches_comes_the_order_by_margin(self) -> None:
        pool = replace(made_pool(100), batch=5)
        assert pool.uncertainty is not None
        rest = STRATEGIES["diverse_margin"].order(pool, 0)[10:]
        assert (np.diff(pool.uncertainty[rest]) <= 0).all()


class TestAuto(StrategyQuestions):
    name = "auto"

    def test_without_a_model_it_covers(self) -> None:
        pool = replace(made_pool(50, labelled=40), **NO_MODEL)
        assert (STRATEGIES["auto"].order(pool, 0) == STRATEGIES["coverage"].order(pool, 0)).all()

    @pytest.mark.parametrize(("skill", "labels"), [(1.0, 12), (2 / 3, 12), (None, 12), (1 / 3, 18), (0.0, 24)])
    def test_a_model_is_trusted_from_labels_that_its_skill_decides(self, skill: float | None, labels: int) -> None:
        """Three classes: four labels each where the model is right in two of three cases beyond guessing, up to eight else."""
        pool = replace(made_pool(80, labelled=labels), skill=skill)
        one_less = replace(pool, labelled=pool.labelled[1:], labels=pool.labels[1:])  # type: ignore[index]

        assert (STRATEGIES["auto"].order(one_less, 0) == STRATEGIES["coverage"].order(one_less, 0)).all()
        assert (STRATEGIES["auto"].order(pool, 0) != STRATEGIES["coverage"].order(pool, 0)).any()

    def test_labels_of_no_class_do_not_count(self) -> None:
        pool = replace(made_pool(80, labelled=12), labels=np.full(12, -1))
        assert (STRATEGIES["auto"].order(pool, 0) == STRATEGIES["coverage"].order(pool, 0)).all()

    def test_a_region_without_a_label_is_touched_before_what_is_doubtful(self) -> None:
        features, member = clusters([60] * 5)
        labelled, _ = clusters([20] * 5, seed=1)
        doubt = np.where(member == 0, 0.9, 0.1)
        pool = Pool(features, doubt, labelled[:80], classes=5, batch=10)  # of the first four clusters

        order = STRATEGIES["auto"].order(pool, 0)
        assert member[order[0]] == 4
        assert set(member[order[1:10]]) == {0}

    def test_once_every_region_is_touched_it_is_diverse_margin(self) -> None:
        features, member = clusters([30] * 4)
        labelled, _ = clusters([10] * 4, seed=1)
        pool = Pool(features, member / 10, labelled, classes=4, batch=6)
        assert set(member[STRATEGIES["auto"].order(pool, 0)[:6]]) == {3}

    def test_another_strategy_may_begin(self) -> None:
        pool = replace(made_pool(50), **NO_MODEL)
        assert (Auto(STRATEGIES["typiclust"]).order(pool, 0) == STRATEGIES["typiclust"].order(pool, 0)).all()


@pytest.mark.parametrize(
    ("accuracy", "items", "commonest", "expected"),
    [(1.0, 10, 5, 1.0), (0.5, 10, 5, 0.0), (0.9, 100, 50, 0.74), (0.9, 100, 90, 0.0), (1.0, 10, 10, 0.0)],
)
def test_skill_is_what_a_model_does_better_than_guessing_the_commonest_class(
    accuracy: float, items: int, commonest: int, expected: float
) -> None:
    counts = {"a": commonest, "b": items - commonest}
    per_class = {label: ClassMetrics(accuracy, accuracy, accuracy, count) for label, count in counts.items()}
    metrics = Metrics(items, accuracy, accuracy, 0.5, 0.1, per_class, "cross-validation")
    assert skill(metrics) == pytest.approx(expected)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _doubtful_clusters(certain: tuple[int, ...]) -> tuple[Pool, np.ndarray]:
    features, member = clusters([20] * 6)
    sure = np.isin(member, certain)
    probabilities = np.where(sure[:, None], [0.999, 0.0005, 0.0005], [0.4, 0.35, 0.25])
    return Pool(features, probabilities=probabilities), member


def test_every_strategy_has_its_test_class() -> None:
    def names(cls: type[StrategyQuestions]) -> set[str]:
        own = {cls.name} if hasattr(cls, "name") else set()
        return own.union(*(names(below) for below in cls.__subclasses__()))

    assert names(StrategyQuestions) == set(STRATEGIES)
    assert {name: strategy.name for name, strategy in STRATEGIES.items()} == {name: name for name in STRATEGIES}


def test_unknown_name_says_what_there_is() -> None:
    assert strategy_named("margin").name == "margin"
    with pytest.raises(LearningError, match=r"'guess'; there are auto, badge, bald, clue, coreset, coverage"):
        strategy_named("guess")


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_has_an_answer_where_items_have_several_classes(name: str) -> None:
    """Such a model knows its doubts, but gives no class probabilities and has no members."""
    made = made_pool(60, labelled=20)
    pool = replace(made, probabilities=None, members=None, labels=None, uncertainty=np.linspace(0, 1, 60), classes=3)
    strategy = strategy_for(pool, name, "typiclust", 4)
    assert strategy.name == (name if STRATEGIES[name].need.met_by(pool) else "auto")
    order = strategy.order(pool, 0, balance=0.2, apart=0.1)
    assert sorted(order.tolist()) == list(range(60))


def test_without_a_model_a_strategy_that_needs_one_gives_way_to_the_cold_one() -> None:
    pool = replace(made_pool(20), **NO_MODEL)
    assert strategy_for(pool, "badge", "typiclust", 4).name == "typiclust"


def test_auto_goes_by_doubt_alone_where_items_have_several_classes() -> None:
    features, member = clusters([30] * 4)
    labelled, _ = clusters([10] * 4, seed=1)
    pool = Pool(features, member / 10, labelled, classes=4, batch=6)
    assert set(member[strategy_for(pool, "badge", "coverage", 4).order(pool, 0)[:6]]) == {3}


def test_scores_make_label_studio_serve_the_order() -> None:
    order = np.array([2, 0, 3, 1])
    scores = rank_scores(order)

    assert np.argsort(scores).tolist() == order.tolist()
    assert ((scores >= 0) & (scores <= 1)).all()
    assert np.unique(scores).size == 4
    assert rank_scores(np.array([], dtype=np.int64)).size == 0


@pytest.mark.parametrize("uncertainty", [np.zeros(50_000), np.ones(50_000), np.linspace(0, 1, 50_000)])
def test_doubts_handed_out_along_an_order_are_all_different_and_in_range(uncertainty: np.ndarray) -> None:
    order = np.random.default_rng(0).permutation(50_000)
    scores = scores_along(order, uncertainty)

    assert (np.diff(scores[order]) > 0).all()
    assert ((scores >= 0) & (scores <= 1)).all()
    assert np.sort(scores) == pytest.approx(np.sort(1 - uncertainty), abs=1e-6)
    assert scores_along(np.array([], dtype=np.int64), np.zeros(0)).size == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros(3)}, "two-dimensional"),
        ({"uncertainty": np.zeros(4)}, "as many uncertainties"),
        ({"labelled": np.zeros((1, 5)), "labels": None}, "5 columns"),
        ({"probabilities": np.zeros((4, 2))}, "probabilities"),
        ({"probabilities": np.zeros(3)}, "probabilities"),
        ({"members": np.zeros((3, 2))}, "members"),
        ({"labels": np.zeros(4, dtype=int)}, "as many labels"),
        ({"batch": 0}, "at least one"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    pool = Pool(np.zeros((3, 2)), np.zeros(3), np.zeros((1, 2)), np.zeros((3, 2)), None, np.zeros(1, dtype=int))
    with pytest.raises(LearningError, match=message):
        replace(pool, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("wish", [{"balance": -0.1}, {"balance": 1.1}, {"apart": -1.0}, {"apart": 3.0}])
def test_wishes_out_of_range_are_refused(wish: dict[str, float]) -> None:
    with pytest.raises(LearningError, match="is in"):
        STRATEGIES["random"].order(made_pool(5), 0, **wish)


def test_all_places_can_go_to_rare_classes() -> None:
    pool = replace(equal_pool(30), probabilities=np.repeat(np.eye(3), 10, axis=0))
    order = STRATEGIES["random"].order(pool, 0, balance=1.0)
    assert is_permutation(order, 30)
    assert (np.bincount(order[:9] // 10) == 3).all()


def test_without_a_model_no_class_is_rare() -> None:
    pool = replace(made_pool(30), **NO_MODEL)
    assert (STRATEGIES["coverage"].order(pool, 0, balance=1.0) == STRATEGIES["coverage"].order(pool, 0)).all()
