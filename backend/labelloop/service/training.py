"""Trains one control's candidate on its labels and judges it against the live version."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from labelloop.errors import MediaUnavailable
from labelloop.labelstudio import TaskRecord
from labelloop.learning import (
    LEARNERS,
    ClassificationLearner,
    GateDecision,
    assign_holdout,
    judge,
    judged_keys,
    strategy_named,
)
from labelloop.learning.preparation import near_duplicate_groups
from labelloop.records import Target
from labelloop.service.embedding import Embedded, Embedder
from labelloop.service.state import BrokenItem, Progress
from labelloop.service.versions import LearnerRecord
from labelloop.settings import Settings

# Tasks of the pool that a training looks at; the learner takes a part of them, and some have no features yet.
POOL_TASKS: Final = 5000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trained model that is not published.

    Attributes:
        record: its entry in a manifest.
        learner: the model.
        trained: labelled tasks it was trained on.
        held_out: labelled tasks it was not trained on.
        labels: label by task id (as text), of both.
        sides: True (held out) or False by content digest, of every content placed so far.
        judged: the held-out contents it was judged on: one of each group of near-duplicates, none that has one in training.
        decision: what the gate says.
        broken: labelled tasks that cannot be read.
        unavailable: labelled tasks that could not be had this time.
    """

    record: LearnerRecord
    learner: ClassificationLearner
    trained: int
    held_out: int
    labels: dict[str, str]
    sides: dict[str, bool]
    judged: frozenset[str]
    decision: GateDecision
    broken: dict[int, BrokenItem]
    unavailable: frozenset[int]


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The live version's learner of the same control, to be beaten."""

    record: LearnerRecord
    learner: ClassificationLearner
    embedder: Embedder


def train_control(
    record: LearnerRecord,
    tasks: list[TaskRecord],
    targets: dict[int, Target],
    embedder: Embedder,
    sides: dict[str, bool],
    incumbent: Incumbent | None,
    settings: Settings,
    report: Progress,
    pool: Sequence[TaskRecord] = (),
) -> Candidate:
    """Fit a learner on the labelled tasks, and on the pool where that helps, and let the gate judge it.

    Args:
        record: the control, its classes and its backbone.
        tasks: the labelled tasks.
        targets: by task id.
        embedder: gives the tasks' features.
        sides: which contents earlier versions held out; what is placed once stays.
        incumbent: the live version's learner, None when there is none.
        settings: holdout, gate, strategy, and what is trained.
        report: told of the embedding.
        pool: tasks without a label; those that have features already are learnt from.

    Raises:
        NotEnoughLabels: fewer than two classes have labels.
        MediaUnavailable: none of the labelled tasks could be fetched.
    """
    embedded = embedder.embed(tasks, report)
    if not embedded.ids and embedded.unavailable:
        raise MediaUnavailable(next(iter(embedded.unavailable.values())))
    wanted = [targets[task_id] for task_id in embedded.ids]
    sides, judged_on = _place(embedded, wanted, sides, settings)
    held_out = np.array([sides[content] for content in embedded.contents], dtype=bool)
    is_judged = np.array([content in judged_on for content in embedded.contents], dtype=bool)
    report("train", 0, len(wanted))
    judged = [target for target, held in zip(wanted, is_judged, strict=True) if held]
    learner = LEARNERS[record.control.tag].fit(
        embedded.features[~held_out],
        [target for target, held in zip(wanted, held_out, strict=True) if not held],
        record.classes,
        uncertainty=strategy_named(settings.strategy).measure,
        unlabelled=_pool_features(pool, embedder),
        holdout=(embedded.features[is_judged], judged) if len(judged) >= settings.holdout_min else None,
        semi_supervised=settings.semi_supervised,
        ensemble=settings.ensemble,
        combination=settings.ensemble_combination,
    )
    metrics = learner.evaluate(embedded.features[is_judged], judged) if judged else None
    return Candidate(
        record=replace(record, kind=learner.kind, meta=learner.meta(), metrics=metrics, cv_metrics=learner.cv_metrics),
        learner=learner,
        trained=int((~held_out).sum()),
        held_out=int(held_out.sum()),
        labels={str(task_id): target.label for task_id, target in zip(embedded.ids, wanted, strict=True)},
        sides=sides,
        judged=judged_on,
        decision=_judge(learner, embedded, is_judged, judged, tasks, incumbent, settings),
        broken=embedded.broken,
        unavailable=frozenset(embedded.unavailable),
    )


def _place(
    embedded: Embedded, targets: list[Target], sides: dict[str, bool], settings: Settings
) -> tuple[dict[str, bool], frozenset[str]]:
    """Each content's side, near-duplicates on one, and the contents to judge on."""
    labels = {content: target.label for content, target in zip(embedded.contents, targets, strict=True)}
    groups = dict(zip(embedded.contents, near_duplicate_groups(embedded.features).tolist(), strict=True))
    share = settings.holdout_share if len(labels) >= settings.holdout_from else 0.0
    sides = assign_holdout(labels, sides, share, groups)
    return sides, frozenset(judged_keys({key: side for key, side in sides.items() if key in labels}, groups))


def _pool_features(pool: Sequence[TaskRecord], embedder: Embedder) -> NDArray[np.float32] | None:
    """Features of the pool as far as they are here, of a random part of a large one; None when there are none."""
    drawn = np.random.default_rng(0).permutation(len(pool))[:POOL_TASKS]
    known = embedder.cached([pool[number] for number in sorted(drawn.tolist())])
    return known.features if known.ids else None


def _judge(
    learner: ClassificationLearner,
    embedded: Embedded,
    is_judged: NDArray[np.bool_],
    judged: list[Target],
    tasks: list[TaskRecord],
    incumbent: Incumbent | None,
    settings: Settings,
) -> GateDecision:
    candidate = _correct(learner, embedded.features[is_judged], judged)
    live = _live_correct(embedded, is_judged, judged, tasks, incumbent)
    return judge(
        candidate,
        live,
        minimum=settings.holdout_min,
        tolerance=settings.gate_tolerance,
        labels=[target.label for target in judged],
        classes=learner.classes,
    )


def _live_correct(
    embedded: Embedded,
    is_judged: NDArray[np.bool_],
    judged: list[Target],
    tasks: list[TaskRecord],
    incumbent: Incumbent | None,
) -> NDArray[np.bool_] | None:
    """Where the live version is right on the held-out items, under its own backbone; an item it has no features of is wrong."""
    if incumbent is None:
        return None
    ids = [task_id for task_id, held in zip(embedded.ids, is_judged, strict=True) if held]
    by_id = {task.id: task for task in tasks}
    known = incumbent.embedder.cached([by_id[task_id] for task_id in ids])
    rows = {task_id: row for row, task_id in enumerate(known.ids)}
    target_of = dict(zip(ids, judged, strict=True))
    right = _correct(incumbent.learner, known.features, [target_of[task_id] for task_id in known.ids])
    return np.array([bool(right[rows[task_id]]) if task_id in rows else False for task_id in ids], dtype=bool)


def _correct(learner: ClassificationLearner, features: NDArray[np.float32], targets: list[Target]) -> NDArray[Any]:
    if not targets:
        return np.zeros(0, dtype=bool)
    predicted = learner.predict(features)
    return np.array([p.label == t.label for p, t in zip(predicted, targets, strict=True)], dtype=bool)
