"""Whether a project's labelling can stop, from what the store keeps of it."""

from collections.abc import Iterable

from labelloop.errors import LabelConfigError
from labelloop.labelstudio import TaskRecord, parse_label_config
from labelloop.learning import believed
from labelloop.learning.stopping import (
    DONE,
    LEAST_POINTS,
    Budget,
    CurvePoint,
    Evidence,
    Spent,
    StoppingAdvice,
    advise,
    combine,
    forecast_of,
    trend_of,
)
from labelloop.service.context import Context
from labelloop.service.enough import to_judge
from labelloop.service.history import ControlHistory, read_history
from labelloop.service.projects import Project
from labelloop.service.versions import LearnerRecord, Version
from labelloop.settings import Settings


def advice_on(context: Context, project: Project, live: Version | None, spent: Spent) -> StoppingAdvice:
    """Answer "can we stop?".

    Args:
        context: the store and the settings: target and budgets.
        project: which.
        live: its live version.
        spent: what labelling has taken.

    Raises:
        StoreError: the store cannot be read.
    """
    settings = context.settings
    budget = Budget(settings.label_budget, settings.hours_budget, settings.cost_budget, settings.cost_per_label)
    history = read_history(context, project, live.name) if live else {}
    evidence = dict.fromkeys(_never_learnt(project, live), Evidence()) | {
        record.control.name: _evidence(record, history.get(record.control.name), settings)
        for record in (live.learners if live else ())
        if record.taught
    }
    return combine(
        {
            name: advise(found, settings.target_accuracy, budget, spent)
            for name, found in (evidence or {"": Evidence()}).items()
        }
    )


def why_stopped(context: Context, project: Project, live: Version | None, learnt: Iterable[TaskRecord]) -> str:
    """Why no training starts by itself, as a sentence; empty where trainings go on, as they do unless the settings say otherwise.

    Args:
        context: the store and the settings.
        project: which.
        live: its live version.
        learnt: the labelled tasks that the last training saw; labels given before the budget was spent are still learnt.

    Raises:
        StoreError: the store cannot be read.
    """
    if not context.settings.stop_when_done:
        return ""
    tasks = list(learnt)
    advice = advice_on(context, project, live, spent_on(tasks, len(tasks)))
    return f"{advice.sentence} `labelloop train` still trains." if advice.verdict in DONE else ""


def spent_on(tasks: Iterable[TaskRecord], labels: int) -> Spent:
    """What people have put into some tasks, of which so many have a usable label."""
    annotations = [annotation for task in tasks for annotation in task.annotations]
    answers = sum(not annotation.was_cancelled for annotation in annotations)
    return Spent(labels, answers, sum(annotation.lead_time for annotation in annotations) / 3600)


def _never_learnt(project: Project, live: Version | None) -> list[str]:
    """The config's controls that no version has learnt yet: nothing may stop before it is known how they fare."""
    if live is None:
        return []
    try:
        controls = parse_label_config(project.label_config).controls
    except LabelConfigError:  # the round tells of it
        return []
    known = {record.control.name for record in live.learners}
    return [control.name for control in controls if control.name not in known]


def _evidence(record: LearnerRecord, history: ControlHistory | None, settings: Settings) -> Evidence:
    metrics = believed(record.metrics, record.cv_metrics, to_judge(settings, record.control.kind))
    if metrics is None or history is None:
        return Evidence(metrics, versions=int(metrics is not None))
    points = history.points
    curve = _curve(history, holdout=metrics.source == "holdout")
    stability = [point.stability for point in points if point.stability is not None]
    pool = points[-1].pool if points else None
    return Evidence(metrics, len(points), trend_of(curve), forecast_of(curve), stability, pool)


def _curve(history: ControlHistory, holdout: bool) -> list[CurvePoint]:
    """The curve of the measurement that is gone by; of the other one while that has too few points."""
    held_out = [point.holdout for point in history.points if point.holdout is not None]
    tested = [point.cross_validation for point in history.points if point.cross_validation is not None]
    wanted, other = (held_out, tested) if holdout else (tested, held_out)
    return wanted if len(wanted) >= LEAST_POINTS or len(other) < LEAST_POINTS else other
