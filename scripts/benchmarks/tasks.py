"""What labels are worth for each kind of task, along the default order and along a random one, and how long a training takes."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.candidates import measure_candidate, said_of
from benchmarks.task_data import Task, measure_each
from benchmarks.task_features import features, spec_of
from labelloop.learning import LEARNERS, Learner, TextLearner, Training
from labelloop.service.embedding import Embedded
from labelloop.service.ordering import Known, score_queue, varieties
from labelloop.settings import Settings

QUICK = 200
"""Labels of the training whose time is told."""
QUEUE = 1000
"""Tasks of the queue whose ordering is timed."""
DRAWN = 0.8
"""Share of a data set that is the pool of one seed: an order without chance in it would be the same, lucky or not, for every seed."""


class Pool:
    """A data set under the backbone of its quick learner.

    Args:
        task: the data.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.learner: type[Learner] = LEARNERS[task.kind]
        self.spec = spec_of(task)
        self.items = features(task.name, self.spec, task.items)
        self._test = features(task.name, self.spec, task.test_items)

    def inputs(self, rows: Sequence[int]) -> Any:
        """What the learner reads of some items."""
        return self.items.read(self.learner.reads, self.task.targets, rows)

    @property
    def test_inputs(self) -> Any:
        """What it reads of the test items."""
        return self._test.read(self.learner.reads, self.task.test_targets)

    def train(self, rows: Sequence[int]) -> Learner:
        """A learner of those labels."""
        task = self.task
        return self.learner.train(Training(self.inputs(rows), [task.targets[row] for row in rows], task.classes))


def run() -> dict[str, Any]:
    """Every data set named in TASKS_SETS, or all, with TASKS_SEEDS seeds, two unless said.

    The test items of some sets are of another kind than those that are labelled: WNUT17's are from other places and full of new names.
    With TASKS_CANDIDATE_MINUTES, the budget of a fine-tuning, the fine-tuned candidate is measured instead of the curves; with
    TASKS_DEVICE networks run on that device.
    """
    seeds = range(int(os.environ.get("TASKS_SEEDS", "2")))
    minutes = float(os.environ.get("TASKS_CANDIDATE_MINUTES", "0"))
    return measure_each(lambda task: _both_speeds(task, seeds, minutes) if minutes else _measure(Pool(task), seeds))


def _measure(pool: Pool, seeds: Sequence[int]) -> dict[str, Any]:
    task = pool.task
    curves = {order: np.array([_curve(pool, order, seed) for seed in seeds]) for order in ("random", "auto")}
    rows = np.random.default_rng(0).permutation(len(task.items))[:QUICK].tolist()
    started = time.monotonic()
    learner = pool.train(rows)
    trained = time.monotonic() - started
    queue = (rows * (QUEUE // max(len(rows), 1) + 1))[:QUEUE]
    started = time.monotonic()
    _scores(pool, learner, rows, queue, "auto", 0)
    return {
        "figure": learner.evaluate(pool.test_inputs, task.test_targets).name,
        "budgets": list(task.budgets),
        "curves": {order: _summary(runs[:, :, 0]) for order, runs in curves.items()},
        "curves_same_kind": {
            order: _summary(runs[:, :, 1]) for order, runs in curves.items() if not np.isnan(runs).any()
        },
        "train_s": round(trained, 1),
        "train_labels": len(rows),
        "order_1000_s": round(time.monotonic() - started, 1),
        "dense_kb_per_item": round(float(np.mean([one.values.nbytes for one in pool.items.dense])) / 1024, 1)
        if pool.items.dense
        else 0,
    }


def _both_speeds(task: Task, seeds: Sequence[int], minutes: float) -> dict[str, Any]:
    """The test figures of the quick learner and of the candidate on the same labels, the most of the budgets, for each seed."""
    found: dict[str, Any] = {"labels": task.budgets[-1], "quick": [], "candidate": []}
    for seed in seeds:
        rows = np.random.default_rng(seed).permutation(len(task.items))[: task.budgets[-1]]
        some = replace(task, items=[task.items[row] for row in rows], targets=[task.targets[row] for row in rows])
        pool = Pool(some)
        quick = pool.train(range(len(rows))).evaluate(pool.test_inputs, task.test_targets)
        found["quick"].append(said_of(quick))
        found["candidate"].append(measure_candidate(some, pool.spec, minutes))
        typer.echo(f"{task.name}: quick {found['quick'][-1]}, candidate {found['candidate'][-1]}", err=True)
    return found


def _summary(runs: NDArray[Any]) -> dict[str, list[float]]:
    """Mean and standard error over the seeds, of figures [seeds, budgets]."""
    error = np.std(runs, axis=0) / np.sqrt(max(len(runs) - 1, 1))
    return {"mean": np.mean(runs, axis=0).round(3).tolist(), "standard_error": error.round(3).tolist()}


def _curve(pool: Pool, order: str, seed: int) -> list[tuple[float, float]]:
    """The figures at each budget along an order, on the test items and on those of the data set that were not drawn, which are of the
    same kind as the labels (NaN: all were); the queue is ordered anew whenever the labels have grown by a half.
    """
    task, have = pool.task, list[int]()
    share = max(int(DRAWN * len(task.items)), task.budgets[-1])
    drawn, others = np.split(np.random.default_rng(seed).permutation(len(task.items)), [share])
    rest, rest_targets = pool.inputs(others.tolist()), [task.targets[row] for row in others]
    found: list[tuple[float, float]] = []
    learner: Learner | None = None
    for budget in task.budgets:
        while len(have) < budget:
            left = np.setdiff1d(drawn, have).tolist()
            scores = _scores(pool, learner, have, left, order, seed)
            count = min(budget - len(have), max(task.budgets[0], len(have) // 2))
            have += sorted(left, key=scores.__getitem__)[:count]
            learner = pool.train(have)
        assert learner is not None
        same_kind = learner.evaluate(rest, rest_targets).value if rest_targets else float("nan")
        found.append((learner.evaluate(pool.test_inputs, task.test_targets).value, same_kind))
        typer.echo(
            f"{task.name}: {order}, seed {seed}, {budget} labels: {found[-1][0]:.3f}, of the same kind {same_kind:.3f}",
            err=True,
        )
    return found


def _scores(
    pool: Pool, learner: Learner | None, have: Sequence[int], queue: Sequence[int], order: str, seed: int
) -> dict[int, float]:
    """Label Studio's score of each item of the queue, as a push works it out."""
    task, inputs = pool.task, pool.inputs(queue)
    said = list(learner.predict(inputs)) if learner else []
    predictions = {row: {"": one} for row, one in zip(queue, said, strict=bool(said))}
    targets = [task.targets[row] for row in have]
    labels = np.array([task.classes.index(one.label) for one in targets], dtype=np.int64) if task.kind.single else None
    count = len(task.classes) if task.kind.single else varieties(targets)
    batch, remembered = max(task.budgets[0], 20), isinstance(learner, TextLearner)
    known = Known(pool.items.rows[list(have)], labels, count, None, batch, remembered)
    embedded = Embedded(list(queue), pool.items.rows[list(queue)], [""] * len(queue))
    probabilities = learner.probabilities(inputs) if learner else None
    return score_queue(order, Settings(), queue, predictions, embedded, probabilities, known, seed=seed)
