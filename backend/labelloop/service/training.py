"""Trains one control's candidate on its labels and judges it against the live version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from labelloop.errors import MediaUnavailable
from labelloop.labelstudio import TaskRecord
from labelloop.learning import (
    GateDecision,
    Learner,
    Reads,
    Training,
    TrainingOptions,
    assign_holdout,
    judge,
    judge_quality,
    judged_keys,
    learner_of,
    strategy_named,
)
from labelloop.learning.preparation import Finding, FindingKind, examine, near_duplicate_groups
from labelloop.records import Control, Kind, Target, parts_of, strata
from labelloop.service.embedding import Embedded, Embedder
from labelloop.service.enough import to_judge
from labelloop.service.state import BrokenItem, Place, Progress
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
        labels: what was said by task id (as text), of both.
        sides: True (held out) or False by content digest, of every content placed so far.
        judged: the held-out contents it was judged on: one of each group of near-duplicates, none that has one in training.
        decision: what the gate says.
        broken: what of labelled tasks cannot be read.
        unavailable: labelled tasks that could not be had this time.
        findings: what is wrong with the labelled tasks, and what was done about it, one line each.
    """

    record: LearnerRecord
    learner: Learner
    labels: dict[str, str]
    sides: dict[str, bool]
    judged: frozenset[str]
    decision: GateDecision
    broken: dict[Place, BrokenItem]
    unavailable: frozenset[int]
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The live version's learner of the same control, to be beaten, and what gives its features."""

    learner: Learner
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
    near: Mapping[int, int] | None = None,
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
        near: by task id, the number of its group of near-duplicates, by other features than the embedder's (`near_duplicates`);
            a task without one is alone. None: they are told by the embedder's.

    Raises:
        NotEnoughLabels: fewer than two classes have labels.
        MediaUnavailable: none of the labelled tasks could be fetched.
    """
    embedded = embedder.embed(tasks, report)
    if not embedded.ids and embedded.unavailable:
        raise MediaUnavailable(next(iter(embedded.unavailable.values())))
    wanted = [targets[task_id] for task_id in embedded.ids]
    groups = near_duplicate_groups(embedded.features) if near is None else _groups(embedded.ids, near)
    sides, judged_on = _place(embedded, wanted, groups, sides, settings)
    kind = learner_of(record.control.kind, record.backbone_spec.parts)
    aside = np.array([sides[content] for content in embedded.contents], dtype=bool)
    wanted, kept, findings = _examined(record.control, embedded, wanted, groups, aside)
    held_out, taught = np.flatnonzero(aside & kept).tolist(), np.flatnonzero(~aside & kept).tolist()
    rows = [row for row in held_out if embedded.contents[row] in judged_on]
    judged = _Judged(
        [embedded.ids[row] for row in rows], _inputs(embedded, kind.reads, rows, wanted), [wanted[row] for row in rows]
    )
    report("train", 0, len(wanted))
    learner = kind.train(
        Training(
            _inputs(embedded, kind.reads, taught, wanted),
            [wanted[row] for row in taught],
            record.classes,
            unlabelled=_pool_inputs(pool, embedder, kind.reads),
            holdout=(judged.inputs, judged.targets) if len(rows) >= to_judge(settings, record.control.kind) else None,
            options=training_options(settings, record),
            groups=groups[taught],
        )
    )
    metrics = learner.evaluate(judged.inputs, judged.targets) if rows else None
    return Candidate(
        record=replace(
            record,
            kind=learner.kind,
            meta=learner.meta(),
            metrics=metrics,
            cv_metrics=learner.cv_metrics,
            labels=len(taught),
            holdout=len(held_out),
        ),
        learner=learner,
        labels={str(task_id): target.summary for task_id, target in zip(embedded.ids, wanted, strict=True)},
        sides=sides,
        judged=judged_on,
        decision=_judge(record, learner, judged, tasks, incumbent, settings),
        broken=embedded.broken,
        unavailable=frozenset(embedded.unavailable),
        findings=findings,
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """The held-out tasks that a candidate is judged on."""

    ids: list[int]
    inputs: Any
    targets: list[Target]


def _inputs(embedded: Embedded, reads: Reads, rows: Sequence[int], targets: Sequence[Target]) -> Any:
    """What a learner reads of some rows; of regions it is asked about those that people drew."""
    return embedded.inputs(reads, rows, [parts_of(targets[row]) for row in rows])


def training_options(settings: Settings, record: LearnerRecord) -> TrainingOptions:
    """What a person has chosen of a learner's training."""
    return TrainingOptions(
        uncertainty=strategy_named(settings.strategy).measure,
        reduction=settings.reduction,
        semi_supervised=settings.semi_supervised,
        ensemble=tuple(settings.ensemble),
        combination=settings.ensemble_combination,
        blocks=record.backbone.blocks,
        synonyms=record.control.predicted_values,
        answer=record.control.answer,
    )


def _examined(
    control: Control,
    embedded: Embedded,
    targets: list[Target],
    groups: NDArray[np.integer[Any]],
    aside: NDArray[np.bool_],
) -> tuple[list[Target], NDArray[np.bool_], tuple[str, ...]]:
    """Targets on which copies agree, which tasks to use, and what was found; see `preparation.examine`."""
    if not (control.kind.single or control.kind is Kind.SET):
        return targets, np.ones(len(targets), dtype=bool), ()
    said: dict[str, Any] = {target.summary: target for target in targets}
    found = examine(
        embedded.contents,
        [target.summary for target in targets],
        embedded.features,
        control.labels,
        held_out=aside,
        ids=[str(task_id) for task_id in embedded.ids],
        groups=groups,
        named={label: one.classes for label, one in said.items()} if control.kind is Kind.SET else None,
    )
    agreed: list[Any] = [
        target
        if target.summary == label
        else replace(said[label], weight=target.weight, ground_truth=target.ground_truth)
        for target, label in zip(targets, found.labels, strict=True)
    ]
    lines = tuple(f"{control.name}: {one.found} {one.rule}{_first(one)}" for one in found.findings)
    return agreed, found.kept, lines


def _first(finding: Finding) -> str:
    """The first tasks that a finding is about, for a person to look at; a finding about classes has named them."""
    if finding.kind in (FindingKind.FEW, FindingKind.IMBALANCE):
        return ""
    return f" Tasks {', '.join(finding.ids[:3])}{' …' if finding.count > 3 else ''}."


def near_duplicates(embedder: Embedder, tasks: Sequence[TaskRecord]) -> dict[int, int]:
    """By id of those tasks whose features are here, the number of its group of near-duplicates, at least 0."""
    found = embedder.cached(tasks)
    return dict(zip(found.ids, near_duplicate_groups(found.features).tolist(), strict=True))


def _groups(ids: Sequence[int], near: Mapping[int, int]) -> NDArray[np.integer[Any]]:
    """The group of each task; a number of its own for one that has none."""
    return np.array([near.get(task_id, -1 - place) for place, task_id in enumerate(ids)], dtype=np.int64)


def _place(
    embedded: Embedded,
    targets: list[Target],
    groups_of_rows: NDArray[np.integer[Any]],
    sides: dict[str, bool],
    settings: Settings,
) -> tuple[dict[str, bool], frozenset[str]]:
    """Each content's side, near-duplicates on one, and the contents to judge on."""
    spread = strata(dict(zip(embedded.contents, targets, strict=True)))
    groups = dict(zip(embedded.contents, groups_of_rows.tolist(), strict=True))
    share = settings.holdout_share if len(spread) >= settings.holdout_from else 0.0
    sides = assign_holdout(spread, sides, share, groups)
    return sides, frozenset(judged_keys({key: side for key, side in sides.items() if key in spread}, groups))


def _pool_inputs(pool: Sequence[TaskRecord], embedder: Embedder, reads: Reads) -> Any:
    """What a learner reads of the pool as far as it is here, of a random part of a large one; None when there is nothing."""
    drawn = np.random.default_rng(0).permutation(len(pool))[:POOL_TASKS]
    known = embedder.cached([pool[number] for number in sorted(drawn.tolist())])
    return known.inputs(reads) if known.ids else None


def _judge(
    record: LearnerRecord,
    learner: Learner,
    judged: _Judged,
    tasks: list[TaskRecord],
    incumbent: Incumbent | None,
    settings: Settings,
) -> GateDecision:
    candidate = learner.quality(judged.inputs, judged.targets)
    live = _live_quality(judged, tasks, incumbent)
    minimum, tolerance = to_judge(settings, record.control.kind), settings.gate_tolerance
    if record.control.kind is not Kind.CLASS:
        return judge_quality(candidate, live, minimum=minimum, tolerance=tolerance)
    return judge(
        candidate == 1,
        None if live is None else live == 1,
        minimum=minimum,
        tolerance=tolerance,
        labels=[target.summary for target in judged.targets],
        classes=record.classes,
    )


def _live_quality(
    judged: _Judged, tasks: list[TaskRecord], incumbent: Incumbent | None
) -> NDArray[np.floating[Any]] | None:
    """How well the live version does on the same tasks, under its own backbone; one it has no features of is a failure."""
    if incumbent is None:
        return None
    by_id = {task.id: task for task in tasks}
    known = incumbent.embedder.cached([by_id[task_id] for task_id in judged.ids])
    target_of = dict(zip(judged.ids, judged.targets, strict=True))
    targets = [target_of[task_id] for task_id in known.ids]
    inputs = _inputs(known, incumbent.learner.reads, range(len(targets)), targets)
    said: Any = incumbent.learner.quality(inputs, targets) if targets else []
    quality = dict(zip(known.ids, said, strict=True))
    return np.array([quality.get(task_id, 0.0) for task_id in judged.ids], dtype=np.float64)
