"""What people and scripts want to know of a project, gathered from the store, Redis and Label Studio."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.exceptions import RedisError

from labelloop.errors import LabelStudioError, VersionError
from labelloop.learning import Metrics
from labelloop.service.context import Context
from labelloop.service.marks import Marks
from labelloop.service.projects import Project
from labelloop.service.push_state import read_push
from labelloop.service.state import BrokenItem, ProjectState, read_progress, read_state
from labelloop.service.versions import LearnerRecord, Version
from labelloop.service.workers import listening_workers
from labelloop.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LearnerReport:
    """One control of the live version.

    Attributes:
        control: the control's name.
        classes: its classes.
        backbone: the backbone in use.
        note: why it is not the one asked for; empty when it is.
        holdout: metrics on the holdout; None while it is empty.
        cross_validation: cross-validated metrics on the training labels.
        holdout_trusted: the holdout has as many labels as the gate wants.
    """

    control: str
    classes: tuple[str, ...]
    backbone: str
    note: str
    holdout: Metrics | None
    cross_validation: Metrics | None
    holdout_trusted: bool

    @property
    def metrics(self) -> Metrics | None:
        """The metrics to believe: the holdout's once it is trusted, else the cross-validated."""
        return self.holdout if self.holdout_trusted else self.cross_validation or self.holdout


@dataclass(frozen=True, slots=True)
class VersionReport:
    """The live version.

    Attributes:
        name: what Label Studio shows.
        stage: `cold` or `trained`.
        created_at: ISO time.
        order: the strategy that orders the queue.
        labels: labels it was trained on.
        held_out: labels it was judged on.
        reason: why it went live.
        learners: one per control.
    """

    name: str
    stage: str
    created_at: str
    order: str
    labels: int
    held_out: int
    reason: str
    learners: tuple[LearnerReport, ...]


@dataclass(frozen=True, slots=True)
class StudioReport:
    """The project as Label Studio has it now.

    Attributes:
        tasks: tasks.
        annotated: tasks with an annotation.
        annotations: annotations that were not skipped.
        skipped: those that were.
        sampling: how it picks the next task.
        model_version: whose scores it looks at; empty when none is selected.
    """

    tasks: int
    annotated: int
    annotations: int
    skipped: int
    sampling: str
    model_version: str


@dataclass(frozen=True, slots=True)
class Report:
    """One project.

    Attributes:
        project: its id in Label Studio.
        title: its title.
        tasks: tasks, as of the last round.
        labels: tasks with a usable label.
        pool: tasks without one.
        live: the live version, None before the first.
        scores_written: tasks that have a score of the live version in Label Studio.
        scores_to_write: tasks that wait for theirs.
        ordered: the project's queue is ordered by the live version.
        now: what a worker does now: step, done, total, since; None when nothing runs.
        workers: workers that listen; None when Redis does not answer.
        changes: labels that changed since the last training, those that events told of included.
        percent: how far to the next training by their count, 0 to 100.
        waiting_for: why no training runs now, as of the last round; empty when labels have changed since.
        last_round_at: ISO time.
        last_training_at: ISO time.
        last_training: what came of it.
        last_refusal: why the gate last refused a candidate; empty once one is published.
        unsupported: controls that are not learnt, one line each.
        set_aside: notes on labels that are not used, one line each.
        broken: tasks set aside, by id.
        studio: the project in Label Studio; None when it cannot be asked.
        errors: what went wrong, one sentence each.
    """

    project: int
    title: str
    tasks: int
    labels: int
    pool: int
    live: VersionReport | None
    scores_written: int
    scores_to_write: int
    ordered: bool
    now: dict[str, Any] | None
    workers: int | None
    changes: int
    percent: int
    waiting_for: str
    last_round_at: str
    last_training_at: str
    last_training: str
    last_refusal: str
    unsupported: tuple[str, ...]
    set_aside: tuple[str, ...]
    broken: dict[int, BrokenItem]
    studio: StudioReport | None
    errors: list[str] = field(default_factory=list)


def report_on(context: Context, project: Project) -> Report:
    """Gather what there is to know; what cannot be asked is named in `errors` and left empty.

    Raises:
        StoreError: the store cannot be read.
    """
    errors: list[str] = []
    state = read_state(context.store, project.folder)
    live = _attempt(lambda: context.versions(project).live(), errors)
    now = _attempt(lambda: read_progress(context.redis, project.slug), errors)
    hinted = _attempt(lambda: Marks(context.redis, project.slug).read().changes, errors) or 0
    workers = _attempt(lambda: len(listening_workers(context.redis)), errors)
    studio = _attempt(lambda: _studio(context.label_studio.project(project.key.id)), errors)
    push = read_push(context.store, project.folder)
    current = push if push is not None and live is not None and push.version == live.name else None
    changes = state.changes + hinted
    return Report(
        project=project.key.id,
        title=project.title,
        tasks=state.tasks,
        labels=state.labels,
        pool=state.pool,
        live=_version(live, context.settings) if live else None,
        scores_written=len(current.done) if current else 0,
        scores_to_write=_unwritten(
            state, set(current.done) if current else set(), set(current.scores) if current else set()
        ),
        ordered=bool(current and current.switched),
        now=now,
        workers=workers,
        changes=changes,
        percent=min(100, round(100 * changes / context.settings.train_after)),
        waiting_for="" if hinted else state.waiting_for,
        last_round_at=state.last_round_at,
        last_training_at=state.last_training_at,
        last_training=state.last_training,
        last_refusal=state.last_refusal,
        unsupported=state.unsupported,
        set_aside=state.set_aside,
        broken=state.broken,
        studio=studio,
        errors=([state.error] if state.error else []) + list(dict.fromkeys(errors)),
    )


def _attempt(ask: Callable[[], T], errors: list[str]) -> T | None:
    try:
        return ask()
    except RedisError as error:
        errors.append(f"Redis does not answer: {str(error).rstrip('.')}.")
    except (LabelStudioError, VersionError) as error:
        errors.append(str(error))
    return None


def _studio(record: dict[str, Any]) -> StudioReport:
    return StudioReport(
        tasks=record["task_number"],
        annotated=record["num_tasks_with_annotations"],
        annotations=record["total_annotations_number"],
        skipped=record["skipped_annotations_number"],
        sampling=record["sampling"],
        model_version=record["model_version"] or "",
    )


def _version(version: Version, settings: Settings) -> VersionReport:
    return VersionReport(
        name=version.name,
        stage=version.stage,
        created_at=version.created_at,
        order=version.order,
        labels=version.labels,
        held_out=version.holdout,
        reason=version.reason,
        learners=tuple(_learner(record, settings) for record in version.learners),
    )


def _learner(record: LearnerRecord, settings: Settings) -> LearnerReport:
    return LearnerReport(
        control=record.control.name,
        classes=record.classes,
        backbone=record.backbone.name,
        note=record.backbone.note,
        holdout=record.metrics,
        cross_validation=record.cv_metrics,
        holdout_trusted=record.metrics is not None and record.metrics.items >= settings.holdout_min,
    )


def _unwritten(state: ProjectState, done: set[int], scored: set[int]) -> int:
    """Tasks that wait for their score: those that have one here, and those of the pool that were not scored yet."""
    return max(len(scored - done), state.pool - len(done))
