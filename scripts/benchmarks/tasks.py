"""What labels are worth for each kind of task, along the default order and along a random one, and how long a training takes."""

import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.label_data import Missing, mobilenet
from benchmarks.task_data import TASKS, Task
from labelloop.learning import LEARNERS, Dense, Learner, Reads, Training, load_backbone, resolve_backbone
from labelloop.records import Control, Modality
from labelloop.service.embedding import Embedded, embed_whole
from labelloop.service.ordering import Known, score_queue
from labelloop.service.releases import backbone_spec
from labelloop.settings import Settings

CHUNK = 64
QUICK = 200
"""Labels of the training whose time is told."""
QUEUE = 1000
"""Tasks of the queue whose ordering is timed."""


class Pool:
    """A data set under its backbone.

    Args:
        task: the data.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.learner: type[Learner] = LEARNERS[task.kind]
        self.rows, self.dense = _features(task, task.items)
        self.test_rows, self.test_dense = _features(task, task.test_items)

    def inputs(self, rows: Sequence[int]) -> Any:
        """What the learner reads of some items."""
        if self.learner.reads is Reads.DENSE:
            return [self.dense[row] for row in rows]
        return self.rows[np.asarray(rows, dtype=int)]

    @property
    def test_inputs(self) -> Any:
        """What it reads of the test items."""
        return self.test_dense if self.learner.reads is Reads.DENSE else self.test_rows

    def train(self, rows: Sequence[int]) -> Learner:
        """A learner of those labels."""
        task = self.task
        return self.learner.train(Training(self.inputs(rows), [task.targets[row] for row in rows], task.classes))


def run() -> dict[str, Any]:
    """Every data set named in TASKS_SETS, or all, with TASKS_SEEDS seeds, two unless said."""
    wanted = os.environ.get("TASKS_SETS", ",".join(TASKS)).split(",")
    seeds = range(int(os.environ.get("TASKS_SEEDS", "2")))
    figures: dict[str, Any] = {}
    for name in wanted:
        try:
            figures[name] = _measure(Pool(TASKS[name]()), seeds)
        except Missing as error:
            figures[name] = {"skipped": str(error)}
    return figures


def _measure(pool: Pool, seeds: Sequence[int]) -> dict[str, Any]:
    task = pool.task
    curves = {order: [_curve(pool, order, seed) for seed in seeds] for order in ("random", "auto")}
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
        "curves": {
            order: {
                "mean": np.mean(runs, axis=0).round(3).tolist(),
                "standard_error": (np.std(runs, axis=0) / np.sqrt(max(len(runs) - 1, 1))).round(3).tolist(),
            }
            for order, runs in curves.items()
        },
        "train_s": round(trained, 1),
        "train_labels": len(rows),
        "order_1000_s": round(time.monotonic() - started, 1),
        "dense_kb_per_item": round(float(np.mean([one.values.nbytes for one in pool.dense])) / 1024, 1)
        if pool.dense
        else 0,
    }


def _curve(pool: Pool, order: str, seed: int) -> list[float]:
    """The test figure at each budget along an order; the queue is ordered anew whenever the labels have grown by a half."""
    task, have = pool.task, list[int]()
    found: list[float] = []
    learner: Learner | None = None
    for budget in task.budgets:
        while len(have) < budget:
            left = np.setdiff1d(np.arange(len(task.items)), have).tolist()
            scores = _scores(pool, learner, have, left, order, seed)
            count = min(budget - len(have), max(task.budgets[0], len(have) // 2))
            have += sorted(left, key=scores.__getitem__)[:count]
            learner = pool.train(have)
        assert learner is not None
        found.append(learner.evaluate(pool.test_inputs, task.test_targets).value)
        typer.echo(f"{task.name}: {order}, seed {seed}, {budget} labels: {found[-1]:.3f}", err=True)
    return found


def _scores(
    pool: Pool, learner: Learner | None, have: Sequence[int], queue: Sequence[int], order: str, seed: int
) -> dict[int, float]:
    """Label Studio's score of each item of the queue, as a push works it out."""
    said = list(learner.predict(pool.inputs(queue))) if learner else []
    predictions = {row: {"": one} for row, one in zip(queue, said, strict=bool(said))}
    known = Known(pool.rows[list(have)], None, len(pool.task.classes), None, max(pool.task.budgets[0], 20))
    embedded = Embedded(list(queue), pool.rows[list(queue)], [""] * len(queue))
    return score_queue(order, Settings(), queue, predictions, embedded, None, known, seed=seed)


def _features(task: Task, items: Sequence[Any]) -> tuple[NDArray[Any], list[Dense]]:
    """Rows and dense features of some items, none where the learner reads none."""
    spec = backbone_spec(_settings(task), _control(task))
    resolved = resolve_backbone(spec)
    typer.echo(f"{task.name}: {len(items)} items under {resolved.name}", err=True)
    backbone = load_backbone(spec, resolved)
    rows, dense = [], list[Dense]()
    for start in range(0, len(items), CHUNK):
        some, parts = embed_whole(backbone, spec, list(items[start : start + CHUNK]))
        rows.append(some)
        dense += parts
    return np.concatenate(rows), dense


def _settings(task: Task) -> Settings:
    if task.modality is Modality.IMAGE:
        return Settings(image_backbone="mobilenet_v2", image_weights=str(mobilenet()), device="cpu", offline=True)
    return Settings(text_backbone="all-MiniLM-L6-v2", device="cpu", offline=True)


def _control(task: Task) -> Control:
    return Control("answer", "", "shown", "item", task.modality, task.classes, task.kind)
