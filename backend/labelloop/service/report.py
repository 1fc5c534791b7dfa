"""Gathers what people and scripts want to know of a project from the store, Redis and Label Studio."""

from collections.abc import Callable
from typing import Any, TypeVar

from redis.exceptions import RedisError

from labelloop.errors import LabelStudioError, VersionError
from labelloop.learning import STRATEGIES, Need
from labelloop.learning.calibrating import Reliability
from labelloop.learning.stopping import Spent
from labelloop.service.context import Context
from labelloop.service.enough import to_judge
from labelloop.service.history import ControlHistory, History, read_history
from labelloop.service.marks import Marks
from labelloop.service.projects import Project
from labelloop.service.push_state import read_push
from labelloop.service.report_records import LearnerReport, Report, StudioReport, VersionReport
from labelloop.service.state import ProjectState, read_progress, read_state
from labelloop.service.stopping import advice_on
from labelloop.service.tuning_due import describe_tuning
from labelloop.service.versions import LearnerRecord, Version
from labelloop.service.workers import listening_workers
from labelloop.settings import Settings

T = TypeVar("T")


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
    # A round that leaves the rest of a batch for the next notes it as a hint again.
    changes = max(state.changes, hinted)
    return Report(
        project=project.key.id,
        title=project.title,
        tasks=state.tasks,
        labels=state.labels,
        pool=state.pool,
        annotations=state.annotations,
        hours=state.hours,
        stopping=advice_on(context, project, live, Spent(state.labels, state.annotations, state.hours)),
        stopped=state.stopped,
        live=_version(live, read_history(context, project, live.name), context.settings) if live else None,
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
        findings=state.findings,
        broken={task_id: note for (task_id, _), note in state.broken.items()},
        studio=studio,
        fine_tuning=describe_tuning(context, project, live),
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


def _version(version: Version, history: History, settings: Settings) -> VersionReport:
    return VersionReport(
        name=version.name,
        stage=version.stage,
        created_at=version.created_at,
        order=_order(version),
        labels=version.labels,
        held_out=version.holdout,
        reason=version.reason,
        learners=tuple(_learner(record, history.get(record.control.name), settings) for record in version.learners),
    )


def _learner(record: LearnerRecord, history: ControlHistory | None, settings: Settings) -> LearnerReport:
    return LearnerReport(
        control=record.control.name,
        classes=record.classes,
        backbone=record.backbone.name,
        note=record.backbone.note,
        predicts=bool(record.kind),
        holdout=record.metrics,
        cross_validation=record.cv_metrics,
        holdout_trusted=record.metrics is not None and record.metrics.items >= to_judge(settings, record.control.kind),
        pool=history.points[-1].pool if history and history.points else None,
        agreement=history.agreement() if history else None,
        choice=_choice(record.meta.get("choice")),
        calibration=_calibration(record.meta.get("calibration")),
    )


def _choice(kept: object) -> str:
    """The sentence on which candidate won, whether a learner keeps it alone or as the `reason` beside its figures."""
    said = kept.get("reason") if isinstance(kept, dict) else kept
    return said if isinstance(said, str) else ""


def _order(version: Version) -> str:
    """The strategy that orders the queue; `auto` does where an item has not one class, for one that goes by classes."""
    need = STRATEGIES[version.order].need if version.order in STRATEGIES else Need.NOTHING
    if version.stage == "cold" or need in (Need.NOTHING, Need.UNCERTAINTY) or version.leading.control.kind.single:
        return version.order
    return f"auto, as {version.order} needs {need.value}"


def _calibration(kept: object) -> Reliability | None:
    """What calibrating does, of learners that measure it; others keep its name alone."""
    return Reliability.from_json(kept) if isinstance(kept, dict) else None


def _unwritten(state: ProjectState, done: set[int], scored: set[int]) -> int:
    """Tasks that wait for their score: those that have one here, and those of the queue that were not scored yet."""
    return max(len(scored - done), state.queue - len(done))
