"""Accuracy per label bought: random, `auto` and other libraries' strategies on the same features, pools and test items.

For each data set that is here, labels are bought in batches that bring their number to each budget in turn; each seed draws nine
tenths of the pool, the same for every method. Every method is judged by the same logistic head. What Labelloop's strategies and
a random draw buy is judged by Labelloop's default head too, which learns from the pool (`own head`), and by both heads on spread
labels without a choice; of the default head the calibration is measured as well, on the test items.
`LABEL_EFFICIENCY_SEEDS`, `_SETS` and `_METHODS` (comma-separated) make a run shorter.
"""

import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.label_data import DATA_SETS, DataSet, Missing
from benchmarks.label_peers import PEERS, fits, head, pick
from labelloop.errors import NotEnoughLabels
from labelloop.learning import STRATEGIES, ClassificationLearner, Pool, skill
from labelloop.learning.evaluation import expected_calibration_error
from labelloop.learning.lessons import make_lesson, prepare
from labelloop.learning.scaling import centre_of, unit_rows
from labelloop.learning.semisupervised import METHODS
from labelloop.learning.threads import one_thread
from labelloop.records import ClassTarget

SEEDS = {"digits": 20, "digits_few": 20}
USUAL_SEEDS = 5
POOL_SHARE = 0.9
# `auto` as it picks for a logistic head alone: by the doubts of a learner that does not see the pool.
NO_POOL = "auto-no-pool"
# Beyond this many rows times classes label spreading is not judged by itself: it takes long and is not what is offered.
MOST_SPREAD = 60_000
CHANCES = 50
SPREADING = ("label_spreading", "spread_neighbours")

Rows = NDArray[Any]


@dataclass(slots=True)
class Bought:
    """The labels bought so far of one seed's pool.

    Attributes:
        data: the data set.
        rows: which of its pool's rows this seed has.
        seed: for what is drawn.
        sees_pool: whether Labelloop's learner learns from the rows without a label too.
        have: places in `rows` that are labelled.
        learner: Labelloop's, trained on them; None: they are of one class, or nobody asks for it.
        trains: whether anybody asks for it; what another library buys is judged by the logistic head alone.
        seconds: what choosing has taken.
    """

    data: DataSet
    rows: Rows
    seed: int
    trains: bool = True
    sees_pool: bool = True
    have: Rows = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    learner: ClassificationLearner | None = None
    seconds: float = 0.0

    @property
    def features(self) -> Rows:
        """All features, as the backbone gave them."""
        return self.data.features[self.rows]

    @property
    def labels(self) -> Rows:
        """All labels; only those at `have` are known to a method."""
        return self.data.labels[self.rows]

    @property
    def left(self) -> Rows:
        """Places in `rows` that are not labelled."""
        return np.setdiff1d(np.arange(len(self.rows)), self.have)

    def buy(self, choose: "Choose", count: int) -> None:
        """Have the method choose so many more, and train where somebody asks for it."""
        started = time.process_time()
        chosen = choose(self, count)
        self.seconds += time.process_time() - started
        self.have = np.concatenate([self.have, chosen])
        if self.trains:
            self._train()

    def _train(self) -> None:
        names = [str(number) for number in range(self.data.classes)]
        targets = [ClassTarget(names[label]) for label in self.labels[self.have]]
        pool = self.features[self.left] if self.sees_pool else None
        try:
            self.learner = ClassificationLearner.fit(
                self.features[self.have], targets, names, seed=self.seed, unlabelled=pool
            )
        except NotEnoughLabels:
            self.learner = None


Choose = Callable[[Bought, int], Rows]


def run() -> dict[str, Any]:
    """Every data set that is here."""
    methods = _wanted("METHODS", ("random", "auto", NO_POOL, *PEERS), (*STRATEGIES, NO_POOL, *PEERS))
    figures: dict[str, Any] = {}
    for name in _wanted("SETS", tuple(DATA_SETS), tuple(DATA_SETS)):
        try:
            data = DATA_SETS[name]()
        except Missing as missing:
            figures[name] = {"skipped": str(missing)}
            _tell(f"{name} is skipped: {missing}")
            continue
        with one_thread():
            figures[name] = _measure(data, methods)
        _tell(_table(name, figures[name]))
    return figures


def _wanted(what: str, usual: tuple[str, ...], there: tuple[str, ...]) -> list[str]:
    """The names that an environment variable asks for."""
    names = os.environ.get(f"LABEL_EFFICIENCY_{what}", ",".join(usual)).split(",")
    unknown = sorted(set(names) - set(there))
    if unknown:
        raise SystemExit(f"LABEL_EFFICIENCY_{what}: there is no {', '.join(unknown)}; there are {', '.join(there)}.")
    return names


def _measure(data: DataSet, names: list[str]) -> dict[str, Any]:
    seeds = range(int(os.environ.get("LABEL_EFFICIENCY_SEEDS", SEEDS.get(data.name, USUAL_SEEDS))))
    methods = {name: _method(name) for name in names if fits(name, data.features, data.classes)}
    full = _full_accuracy(data)
    results: dict[str, Any] = {}
    for name, choose in methods.items():
        runs = []
        for seed in seeds:
            runs.append(_curves(data, choose, seed, trains=name not in PEERS, sees_pool=name != NO_POOL))
            _tell(f"{data.name}: {name}, seed {seed}: {' '.join(f'{100 * a:.1f}' for a in runs[-1]['']['accuracy'])}")
        for judge in runs[0]:
            results[name + judge] = _summary(data, [run[judge] for run in runs], full)
    return {"budgets": list(data.budgets), "seeds": len(seeds), "full": _percent(full), "methods": results}


Curves = dict[str, dict[str, list[float]]]


def _curves(data: DataSet, choose: Choose, seed: int, *, trains: bool, sees_pool: bool) -> Curves:
    """What one seed measures at each budget, by what is added to the method's name and then by figure."""
    rows = np.random.default_rng(seed).permutation(len(data.labels))[: int(POOL_SHARE * len(data.labels))]
    bought = Bought(data, rows, seed, trains, sees_pool)
    spreads = trains and sees_pool and len(rows) * data.classes <= MOST_SPREAD
    curves: Curves = {}
    for budget in data.budgets:
        bought.buy(choose, budget - len(bought.have))
        found = {"": {"accuracy": _accuracy(bought), "seconds": bought.seconds}}
        found |= {", own head": _judged(bought)} if trains else {}
        found |= {f", {name}": {"accuracy": _spread_accuracy(bought, name)} for name in SPREADING if spreads}
        for judge, figures in found.items():
            for figure, value in figures.items():
                curves.setdefault(judge, {}).setdefault(figure, []).append(value)
    return curves


def _judged(bought: Bought) -> dict[str, float]:
    """Accuracy of Labelloop's head on the test items, and its expected calibration error there before and after calibration.

    So few test items show an error even where every confidence is exactly right: `ece_by_chance` is how much, on average.
    """
    truth = bought.data.test_labels
    if bought.learner is None:
        accuracy = float((truth == bought.labels[bought.have[0]]).mean())
        return {"accuracy": accuracy, "ece_before": 0.0, "ece": 0.0, "ece_by_chance": 0.0}
    said = bought.learner.probabilities(bought.data.test_features)
    raw = _uncalibrated(bought.learner).probabilities(bought.data.test_features)
    before, after = (expected_calibration_error(p.max(axis=1), p.argmax(axis=1) == truth) for p in (raw, said))
    accuracy = float((said.argmax(axis=1) == truth).mean())
    return {"accuracy": accuracy, "ece_before": before, "ece": after, "ece_by_chance": _by_chance(said.max(axis=1))}


def _by_chance(confidence: Rows) -> float:
    drawn = np.random.default_rng(0).random((CHANCES, confidence.size)) < confidence
    return float(np.mean([expected_calibration_error(confidence, right) for right in drawn]))


def _uncalibrated(learner: ClassificationLearner) -> ClassificationLearner:
    arrays = {name: values for name, values in learner.arrays().items() if name != "curve"}
    plain = {"temperature": np.ones(1), "offsets": np.zeros_like(arrays["offsets"])}
    return ClassificationLearner.from_arrays(arrays | plain, learner.meta())


def _spread_accuracy(bought: Bought, method: str) -> float:
    names = [str(number) for number in range(bought.data.classes)]
    known = bought.labels[bought.have]
    if np.unique(known).size < 2:
        return float((bought.data.test_labels == known[0]).mean())
    targets = [ClassTarget(names[label]) for label in known]
    items = prepare(bought.features[bought.have], targets, names, ())
    lesson, _ = make_lesson(items, bought.features[bought.left], bought.seed)
    head = METHODS[method].fit(lesson, bought.seed)
    guesses = items.seen[head.logits(items.scaled(bought.data.test_features, "A test set")).argmax(axis=1)]
    return float((guesses == bought.data.test_labels).mean())


def _method(name: str) -> Choose:
    if name in PEERS:
        return lambda bought, count: _peers_choice(name, bought, count)
    return lambda bought, count: _own_choice(name, bought, count)


def _own_choice(name: str, bought: Bought, count: int) -> Rows:
    left = bought.left
    learner = bought.learner
    pool = Pool(
        bought.features[left],
        labelled=bought.features[bought.have],
        probabilities=learner.probabilities(bought.features[left]) if learner else None,
        members=learner.members(bought.features[left], bought.seed) if learner and name == "bald" else None,
        labels=bought.labels[bought.have],
        classes=bought.data.classes,
        skill=skill(learner.cv_metrics) if learner and learner.cv_metrics else None,
        batch=count,
    )
    strategy = STRATEGIES["auto" if name == NO_POOL else name]
    ready = strategy if strategy.need.met_by(pool) else STRATEGIES["coverage"]
    return left[ready.order(pool, bought.seed)[:count]]


def _peers_choice(name: str, bought: Bought, count: int) -> Rows:
    known = np.full(len(bought.rows), np.nan)
    known[bought.have] = bought.labels[bought.have]
    rows = unit_rows(bought.features, centre_of(bought.features))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pick(name, rows, known, count, bought.data.classes, bought.seed)


def _accuracy(bought: Bought) -> float:
    centre, labels = centre_of(bought.features), bought.labels[bought.have]
    if np.unique(labels).size < 2:
        return float((bought.data.test_labels == labels[0]).mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = head().fit(unit_rows(bought.features[bought.have], centre), labels)
    return float(fitted.score(unit_rows(bought.data.test_features, centre), bought.data.test_labels))


def _full_accuracy(data: DataSet) -> float:
    rows = np.arange(len(data.labels))
    return _accuracy(Bought(data, rows, 0, have=rows))


def _summary(data: DataSet, runs: list[dict[str, list[float]]], full: float) -> dict[str, Any]:
    figures = {figure: np.array([run[figure] for run in runs]) for figure in runs[0]}
    accuracies = figures.pop("accuracy")
    mean = accuracies.mean(axis=0)
    error = accuracies.std(axis=0, ddof=1) / np.sqrt(len(runs)) if len(runs) > 1 else np.zeros(len(mean))
    seconds = figures.pop("seconds", None)
    return {
        "mean": [_percent(value) for value in mean],
        "standard_error": [_percent(value) for value in error],
        "labels_to_95_percent": _labels_to(0.95 * full, data.budgets, mean),
        **{figure: [_percent(value) for value in values.mean(axis=0)] for figure, values in figures.items()},
        **({} if seconds is None else {"seconds": round(float(seconds[:, -1].mean()), 2)}),
    }


def _labels_to(accuracy: float, budgets: tuple[int, ...], mean: Rows) -> int | None:
    """The number of labels at which the curve first reaches an accuracy; None: beyond the last budget."""
    reached = np.flatnonzero(mean >= accuracy)
    if reached.size == 0:
        return None
    place = int(reached[0])
    if place == 0:
        return budgets[0]
    share = (accuracy - mean[place - 1]) / (mean[place] - mean[place - 1])
    return round(float(budgets[place - 1] + share * (budgets[place] - budgets[place - 1])))


def _percent(value: float) -> float:
    return round(100 * float(value), 1)


def _table(name: str, figures: dict[str, Any]) -> str:
    lines = [f"{name}: full {figures['full']}, budgets {figures['budgets']}, {figures['seeds']} seeds"]
    for method, found in figures["methods"].items():
        cells = (f"{m:5.1f} ±{e:3.1f}" for m, e in zip(found["mean"], found["standard_error"], strict=True))
        lines.append(
            f"  {method:32s} {' '.join(cells)}  95 % at {found['labels_to_95_percent']}, {found.get('seconds', '')} s"
        )
    return "\n".join(lines)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
