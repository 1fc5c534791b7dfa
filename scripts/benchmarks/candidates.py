"""What the fine-tuned candidate of a kind of task reaches within a budget of time."""

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.task_data import Task
from benchmarks.task_features import features
from labelloop.errors import LearningError
from labelloop.learning import BackboneSpec, Figures, Measured, Training, learner_of
from labelloop.learning.tuning import TUNERS, Lesson, Tuned


def measure_candidate(task: Task, spec: BackboneSpec, minutes: float) -> dict[str, Any]:
    """Fine-tune on all labels of a task, embed its items and the test items anew, and judge what is trained on that.

    Args:
        task: the data, as much of it as is labelled.
        spec: the backbone of the quick learner.
        minutes: budget of the fine-tuning.

    Returns:
        The figures by name, and what it took; or as `skipped` why there are none.
    """
    try:
        with TemporaryDirectory() as folder:
            return _measured(task, spec, minutes, Path(folder))
    except LearningError as error:
        return {"skipped": str(error)}


def _measured(task: Task, spec: BackboneSpec, minutes: float, folder: Path) -> dict[str, Any]:
    tuned = _fine_tuned(task, spec, minutes, folder)
    kind = learner_of(task.kind, tuned.spec.parts)
    started = time.monotonic()
    own, test = (features(task.name, tuned.spec, some) for some in (task.items, task.test_items))
    embedded = time.monotonic() - started
    learner = kind.train(Training(own.read(kind.reads, task.targets), task.targets, task.classes))
    return {
        **said_of(learner.evaluate(test.read(kind.reads, task.test_targets), task.test_targets)),
        "fine_tune_s": round(tuned.seconds, 1),
        "epochs": len(tuned.epochs) - 1,
        "best_epoch": tuned.best,
        "ended": tuned.ended,
        "train_s": round(time.monotonic() - started - embedded, 1),
        "embedded_per_s": round((len(task.items) + len(task.test_items)) / embedded, 1),
        "dense_kb_per_item": round(float(np.mean([one.values.nbytes for one in own.dense] or [0])) / 1024, 1),
    }


def said_of(measured: Measured) -> dict[str, float]:
    """A model's figures by name, the one to go by first."""
    others = measured.others if isinstance(measured, Figures) else {}
    return {name: round(value, 3) for name, value in {measured.name: measured.value, **others}.items()}


def _fine_tuned(task: Task, spec: BackboneSpec, minutes: float, folder: Path) -> Tuned:
    if task.kind not in TUNERS:
        raise LearningError(f"Nothing is fine-tuned for {task.kind}.")
    tuner = TUNERS[task.kind]
    lesson = Lesson(task.items, task.targets, task.classes)
    tuned = tuner.fine_tune(spec, lesson, folder, replace(tuner.options, seconds=60 * minutes))
    assert tuned is not None, "nothing made it give way"
    return tuned
