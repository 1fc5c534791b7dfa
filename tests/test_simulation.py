"""The simulation plays what the service would do, by the same classes, and tells it honestly."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.choice import Choice
from labelloop.learning.learner import Training, TrainingOptions
from labelloop.learning.simulation import (
    DOUBLING,
    Cell,
    Curve,
    Judging,
    LabelledData,
    Plan,
    Round,
    Simulation,
    balance_of,
    class_shares,
    curve_of,
    labels_to_reach,
    playing,
    saved_error,
    savings_of,
    split_data,
    summary_of,
)

CLASSES = ("ant", "bee", "cat")


def _data(per_class: int = 60, **changed: Any) -> LabelledData:
    """Three overlapping clouds."""
    generator = np.random.default_rng(0)
    labels = [label for label in CLASSES for _ in range(per_class)]
    centres = np.eye(3, 8)[[CLASSES.index(label) for label in labels]]
    features = (2 * centres + generator.normal(size=(len(labels), 8))).astype(np.float32)
    keys = tuple(f"item {number}" for number in range(len(labels)))
    parts: dict[str, Any] = {"features": features, "labels": tuple(labels), "classes": CLASSES, "keys": keys}
    return LabelledData(**(parts | {"groups": np.arange(len(labels))} | changed))


def _plan(**changed: Any) -> Plan:
    return Plan(**({"strategies": ("margin",), "budget": 40, "start": 5, "batch": 10} | changed))


@pytest.mark.parametrize(
    ("batch", "rounds"), [(10, [5, 15, 25, 35, 40]), (35, [5, 40]), (100, [5, 40]), (DOUBLING, [5, 10, 20, 40])]
)
def test_rounds_end_at_the_budget(batch: int, rounds: list[int]) -> None:
    assert list(_plan(batch=batch).rounds()) == rounds


def test_random_is_always_played_and_every_strategy_once() -> None:
    assert _plan(strategies=("margin", "entropy", "margin"), seeds=2).cells == (
        ("random", 0),
        ("margin", 0),
        ("entropy", 0),
        ("random", 1),
        ("margin", 1),
        ("entropy", 1),
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"strategies": ("marge",)}, "No strategy is called 'marge'; there are .*typiclust"),
        ({"cold_strategy": "warm"}, "No strategy is called 'warm'"),
        ({"cold_strategy": "margin"}, "cold strategy 'margin' orders before there is a trained model, and needs it"),
        ({"finish": "magic"}, "No semi-supervised method is called 'magic'"),
        ({"learner": TrainingOptions(semi_supervised="magic")}, "No semi-supervised method is called 'magic'"),
        ({"learner": TrainingOptions(ensemble=("magic",))}, "No head is called 'magic'"),
        ({"learner": TrainingOptions(ensemble=("svm",), combination="duel")}, "No combination is called 'duel'"),
        ({"learner": TrainingOptions(uncertainty="doubt")}, "No uncertainty is called 'doubt'"),
        ({"start": 50}, r"start of 50 labels is not within the budget \(40 labels in all\)"),
        ({"start": 0}, "start of 0"),
        ({"batch": -1}, "at least one label, not -1"),
        ({"seeds": 0}, "one seed is needed, not 0"),
        ({"test": 0.0}, "above 0, not 0"),
        ({"test": 30.5}, "a number of test items is a whole one, not 30.5"),
        ({"validation": -2}, "at least 0, not -2"),
    ],
)
def test_a_plan_that_cannot_be_played_is_refused(changed: Mapping[str, Any], said: str) -> None:
    with pytest.raises(LearningError, match=said):
        _plan(**changed)


def test_a_budget_larger_than_the_pool_is_told_with_what_is_left() -> None:
    with pytest.raises(LearningError, match=r"140 labels is larger than the pool of 135 .* 45 to test on"):
        Simulation(_data(), _plan(budget=140))


def test_a_pool_that_only_another_seed_leaves_too_small_is_told() -> None:
    """Both groups of near-duplicates are in the pool under the first seeds, and measure under the third."""
    groups = np.arange(180)
    groups[:20], groups[60:75] = 0, 60
    data = _data(groups=groups)
    pools = [split_data(data, test=0.25, validation=0, seed=seed).pool.size for seed in range(3)]
    assert pools[0] == pools[1] > pools[2]
    assert Simulation(data, _plan(budget=pools[1], seeds=2)).tested == (180 - pools[0], 180 - pools[1])
    with pytest.raises(LearningError, match=f"larger than the pool of {pools[2]} items"):
        Simulation(data, _plan(budget=pools[1], seeds=3))


def test_a_label_of_its_own_for_each_item_is_told() -> None:
    with pytest.raises(LearningError, match="No item of 30 in 30 classes is left to test on"):
        Simulation(
            _data(10, labels=tuple(f"{n:02}" for n in range(30)), classes=tuple(f"{n:02}" for n in range(30))),
            _plan(budget=10),
        )


def test_one_class_is_told() -> None:
    with pytest.raises(NotEnoughLabels, match="items of two classes; there are 180, all of 'bee'"):
        _data(labels=("bee",) * 180)


def test_the_sides_of_a_split_share_nothing_and_keep_the_classes() -> None:
    data = _data()
    split = split_data(data, test=0.25, validation=30, seed=0)

    assert sorted(np.concatenate([split.pool, split.validation, split.test])) == list(range(180))
    assert [len(split.test), len(split.validation)] == [45, 30]
    assert np.bincount([CLASSES.index(data.labels[row]) for row in split.test]).tolist() == [15, 15, 15]


def test_each_seed_splits_differently_and_the_same_each_time() -> None:
    one, again, other = (split_data(_data(), test=40, validation=0, seed=seed) for seed in (0, 0, 1))

    assert one.test.tolist() == again.test.tolist()
    assert one.test.tolist() != other.test.tolist()
    assert len(one.test) == 40


def test_near_duplicates_stay_on_one_side() -> None:
    groups = np.arange(180) // 4 * 4
    for seed in range(3):
        split = split_data(_data(groups=groups), test=0.25, validation=40, seed=seed)
        sides = [set(groups[rows].tolist()) for rows in (split.pool, split.validation, split.test)]
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]


def test_a_given_test_set_stays_what_it_is() -> None:
    given = np.arange(180) % 5 == 0
    split = split_data(_data(given_test=given), test=0.5, validation=0, seed=3)

    assert (split.test == np.flatnonzero(given)).all()


def test_more_than_half_for_the_test_is_refused() -> None:
    with pytest.raises(LearningError, match="100 items of 180 are wanted for test, more than half"):
        split_data(_data(), test=100, validation=0, seed=0)


@pytest.fixture(scope="module")
def cells() -> list[Cell]:
    simulation = Simulation(_data(), _plan(seeds=2))
    return [simulation.play(name, seed) for name, seed in simulation.plan.cells]


def test_each_label_is_bought_once_and_counted(cells: list[Cell]) -> None:
    data = _data()
    label_of = dict(zip(data.keys, data.labels, strict=True))
    for cell in cells:
        bought = [key for played in cell.rounds for key in played.bought]
        assert len(set(bought)) == len(bought) == 40
        assert [played.labels for played in cell.rounds] == [5, 15, 25, 35, 40]
        assert [label_of[key] for key in bought].count("bee") == cell.rounds[-1].counts[1]
        test = split_data(data, test=0.25, validation=0, seed=cell.seed).test
        assert not {data.keys[row] for row in test} & set(bought)


def test_a_strategy_that_needs_a_model_starts_cold(cells: list[Cell]) -> None:
    by_name = {(cell.strategy, cell.seed): [played.order for played in cell.rounds] for cell in cells}

    assert by_name["margin", 0] == ["coverage", "margin", "margin", "margin", "margin"]
    assert by_name["random", 0] == ["random"] * 5


def test_bald_is_played_with_a_single_head() -> None:
    rounds = Simulation(_data(), _plan(strategies=("bald",))).play("bald", 0).rounds

    assert [played.order for played in rounds] == ["coverage", "bald", "bald", "bald", "bald"]


def test_the_order_people_labelled_in_can_be_played_where_it_is_known() -> None:
    history = np.arange(180)[::-1].copy()
    simulation = Simulation(_data(history=history), _plan(strategies=("as_labelled",)))
    bought = [int(key.split()[1]) for played in simulation.play("as_labelled", 0).rounds for key in played.bought]

    assert bought == sorted(bought, reverse=True)
    assert bought[0] >= 175
    with pytest.raises(LearningError, match="tells when each item was labelled"):
        Simulation(_data(), _plan(strategies=("as_labelled",)))
    with pytest.raises(LearningError, match="No strategy is called 'as_labelled'"):
        _plan(cold_strategy="as_labelled")


def test_the_cold_strategy_orders_until_there_is_a_model() -> None:
    simulation = Simulation(_data(), _plan(cold_strategy="typiclust"))

    assert [played.order for played in simulation.play("margin", 0).rounds][:3] == ["typiclust", "margin", "margin"]


def test_what_is_learnt_is_measured(cells: list[Cell]) -> None:
    for cell in cells:
        assert cell.rounds[-1].accuracy > 0.7
        assert all(0 <= played.ece <= 1 and played.log_loss > 0 for played in cell.rounds)


def test_the_same_seed_gives_the_same_cell(cells: list[Cell]) -> None:
    assert Simulation(_data(), _plan(seeds=2)).play("margin", 1) == cells[3]
    assert cells[1] != cells[3]


def test_a_cell_survives_json(cells: list[Cell]) -> None:
    assert Cell.from_json(cells[0].to_json()) == cells[0]


def test_without_a_second_class_the_labels_own_shares_are_measured() -> None:
    data = _data(features=np.zeros((180, 8), dtype=np.float32) + np.arange(180, dtype=np.float32)[:, None])
    simulation = Simulation(data, _plan(start=1, budget=2, batch=1))
    first = simulation.play("random", 0).rounds[0]

    assert (first.accuracy, first.published) == (1 / 3, False)
    assert "one class" in first.reason


def test_a_worse_candidate_is_refused_and_the_live_model_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same gate as the service's: with labels that turn wrong, the second candidate does not go live."""
    simulation = Simulation(_data(), _plan(budget=20, start=10, batch=10, validation=60, judging=Judging(minimum=10)))
    good = simulation.play("random", 0)
    fit = playing.ClassificationLearner.fit

    def poisoned(features: Any, targets: Any, classes: Any, **arguments: Any) -> Any:
        turned = targets if len(targets) <= 10 else targets[::-1]
        return fit(features, turned, classes, **arguments)

    monkeypatch.setattr(playing.ClassificationLearner, "fit", poisoned)
    cell = simulation.play("random", 0)

    assert [played.published for played in cell.rounds] == [True, False]
    assert "60 held-out labels" in cell.rounds[1].reason
    assert cell.rounds[1].accuracy == good.rounds[0].accuracy


def test_rare_classes_are_judged_as_the_service_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate that gives up a rare class for a common one does not go live, though it is right as often."""
    labels = ("ant",) * 80 + ("bee",) * 80 + ("cat",) * 20
    simulation = Simulation(_data(labels=labels), _plan(budget=20, start=10, batch=10, validation=60))
    # Of the first candidate, then of the second and of what is live.
    missed = iter(["nothing", "cat", "ant"])

    def correct(simulation: Simulation, learner: object, rows: np.ndarray) -> np.ndarray:
        missing = np.flatnonzero(np.array(simulation.data.labels)[rows] == next(missed))
        return ~np.isin(np.arange(rows.size), missing[:6])

    monkeypatch.setattr(Simulation, "_correct", correct)
    cell = simulation.play("random", 0)

    assert [played.published for played in cell.rounds] == [True, False]
    assert "mean recall of the classes" in cell.rounds[1].reason


def test_the_learner_is_trained_with_all_that_the_plan_says_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fit, asked = playing.ClassificationLearner.fit, list[dict[str, Any]]()

    def noted(*arguments: Any, **options: Any) -> Any:
        asked.append(options)
        return fit(*arguments, **options)

    monkeypatch.setattr(playing.ClassificationLearner, "fit", noted)
    learner = TrainingOptions(ensemble=("logistic", "knn"), combination="stacking", blocks=(3, 5))
    Simulation(_data(), _plan(learner=learner, judging=Judging(share=0.5, start=20, minimum=5))).play("random", 0)

    assert {(one["combination"], one["blocks"]) for one in asked} == {("stacking", (3, 5))}
    # Of 5, 15, 25, 35 and 40 labels, none is held out before there are 20.
    assert [one["holdout"] is not None for one in asked] == [False, False, True, True, True]
    rows, targets = asked[-1]["holdout"]
    assert len(rows) == len(targets) >= 5


@pytest.mark.parametrize("wish", [{"balance": 1.0}, {"apart": 0.9}])
def test_the_wishes_of_an_order_are_heard(wish: Mapping[str, float], cells: list[Cell]) -> None:
    heard = Simulation(_data(), _plan(**wish)).play("margin", 0)

    assert [played.bought for played in heard.rounds] != [played.bought for played in cells[1].rounds]


@pytest.mark.parametrize(
    "changed",
    [
        {"balance": 0.5},
        {"apart": 0.2},
        {"learner": TrainingOptions(combination="vote")},
        {"learner": TrainingOptions(blocks=(3, 5))},
    ],
)
def test_what_a_cell_depends_on_is_told(changed: Mapping[str, Any]) -> None:
    assert _plan(**changed).cell_facts() != _plan().cell_facts()


def test_a_finish_is_judged_against_what_is_live(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []
    train = playing.ClassificationLearner.train

    def noted(training: Training) -> Any:
        asked.append((training.options.semi_supervised, len(training.unlabelled)))
        return train(replace(training, unlabelled=None))

    monkeypatch.setattr(playing.ClassificationLearner, "train", noted)
    cell = Simulation(_data(), _plan(finish="pseudo_label")).play("margin", 0)

    assert cell.finish is not None
    assert cell.finish.order == "pseudo_label"
    assert cell.finish.bought == ()
    assert cell.finish.labels == 40
    assert asked[-1] == ("pseudo_label", 135 - 40)


@pytest.mark.parametrize(("said", "method"), [("auto", "pseudo_label"), ("none", "supervised")])
def test_a_round_tells_which_head_its_candidate_has(monkeypatch: pytest.MonkeyPatch, said: str, method: str) -> None:
    fit = playing.ClassificationLearner.fit

    def chosen(*arguments: Any, **options: Any) -> Any:
        learner = fit(*arguments, **options)
        learner.choice = Choice(method if options["semi_supervised"] == said else "kernel", "")
        return learner

    monkeypatch.setattr(playing.ClassificationLearner, "fit", chosen)
    cell = Simulation(_data(), _plan(finish=said, learner=TrainingOptions(semi_supervised="label_spreading"))).play(
        "random", 0
    )

    assert {played.method for played in cell.rounds} == {"kernel"}
    assert cell.finish is not None and cell.finish.method == method


def _cell(strategy: str, seed: int, accuracies: list[float], counts: list[tuple[int, ...]]) -> Cell:
    rounds = [
        Round(sum(count), strategy, (), count, accuracy, accuracy, 0.1, 0.5, True, "", "supervised")
        for accuracy, count in zip(accuracies, counts, strict=True)
    ]
    return Cell(strategy, seed, tuple(rounds))


COUNTS = [(5, 5), (15, 5), (30, 10)]
PLAYED = [
    _cell("random", 0, [0.5, 0.6, 0.8], COUNTS),
    _cell("random", 1, [0.5, 0.6, 0.6], COUNTS),
    _cell("good", 0, [0.6, 0.7, 0.9], COUNTS),
    _cell("good", 1, [0.4, 0.7, 0.9], COUNTS),
    _cell("bad", 0, [0.3, 0.4, 0.5], COUNTS),
]


def test_a_curve_is_the_mean_with_its_standard_error() -> None:
    curve = curve_of(PLAYED, "random")

    assert curve.mean == pytest.approx((0.5, 0.6, 0.7))
    assert curve.error == pytest.approx((0, 0, 0.1))
    assert curve_of(PLAYED, "bad").error == (0, 0, 0)


@pytest.mark.parametrize(("value", "labels"), [(0.4, 10), (0.5, 10), (0.55, 15), (0.6, 20), (0.65, 30), (0.7, 40)])
def test_labels_are_found_between_rounds(value: float, labels: float) -> None:
    assert labels_to_reach(curve_of(PLAYED, "random"), value) == pytest.approx(labels)


def test_what_is_never_reached_is_said_so() -> None:
    assert labels_to_reach(curve_of(PLAYED, "random"), 0.71) is None
    savings = savings_of([curve_of(PLAYED, name) for name in ("random", "bad")], "random")
    assert [(saving.needed, saving.saved) for saving in savings] == [(40, -3), (None, None), (None, None)]


def test_the_first_time_a_level_is_reached_counts() -> None:
    assert labels_to_reach(Curve("up and down", (10, 20, 30), (0.2, 0.8, 0.5), (0, 0, 0), 1), 0.5) == 15


def test_savings_compare_at_equal_accuracy() -> None:
    savings = savings_of([curve_of(PLAYED, name) for name in ("random", "good")], "random")

    assert [round(saving.accuracy, 3) for saving in savings] == [0.5, 0.6, 0.7]
    assert [saving.baseline for saving in savings] == pytest.approx([10, 20, 40])
    assert [saving.needed for saving in savings] == pytest.approx([10, 15, 20])
    assert [saving.at_most for saving in savings] == [True, False, False]
    # Of what both reach in their first rounds, which are as large, nothing is known.
    assert [saving.saved for saving in savings] == [None, pytest.approx(0.25), pytest.approx(0.5)]


def test_accuracies_that_are_told_alike_are_compared_once() -> None:
    random = Curve("random", (10, 20, 30, 40), (0.5, 0.7077, 0.69, 0.7083), (0.0,) * 4, 1)
    savings = savings_of([random, replace(random, strategy="good")], "random")

    assert [saving.accuracy for saving in savings] == [0.5, 0.69, 0.7083]


def test_labels_saved_are_told_with_how_much_they_vary_over_the_seeds() -> None:
    _, middle, last = savings_of([curve_of(PLAYED, name) for name in ("random", "good")], "random")

    # Without the first seed a sixth of 20 labels is saved, without the second at least half of them.
    assert saved_error(PLAYED, middle, "random") == pytest.approx(1 / 6)
    # Without the first seed random is at its best after 20 labels, without the second after 40 of which a quarter is saved.
    assert saved_error(PLAYED, last, "random") == pytest.approx(1 / 24)


def test_without_seeds_to_compare_nothing_is_said_of_how_savings_vary() -> None:
    first, middle, _ = savings_of([curve_of(PLAYED, name) for name in ("random", "good")], "random")
    one_seed = [cell for cell in PLAYED if cell.seed == 0]
    reached_by_one = [*PLAYED[:3], _cell("good", 1, [0.1, 0.2, 0.3], COUNTS)]

    assert first.saved is None and saved_error(PLAYED, first, "random") is None
    assert saved_error(one_seed, middle, "random") is None
    assert saved_error(reached_by_one, middle, "random") is None


def test_what_was_bought_is_told_by_class() -> None:
    assert class_shares(PLAYED, "good").tolist() == [[0.5, 0.5], [0.75, 0.25], [0.75, 0.25]]
    assert balance_of(PLAYED, "good") == pytest.approx([1, 0.811, 0.811], abs=1e-3)


def test_the_summary_is_plain_json(cells: list[Cell]) -> None:
    import json

    summary = summary_of(cells, ("random", "margin"), "random", CLASSES)

    assert json.loads(json.dumps(summary)) == summary
    assert [one["strategy"] for one in summary["curves"]["ece"]] == ["random", "margin"]
