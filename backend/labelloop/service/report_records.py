"""What a report on a project says, as records that are JSON at once."""

from dataclasses import dataclass, field
from typing import Any

from labelloop.learning import Measured
from labelloop.learning.calibrating import Reliability
from labelloop.learning.pool_accuracy import PoolAccuracy
from labelloop.learning.stopping import Agreement, StoppingAdvice
from labelloop.service.state import BrokenItem


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
        pool: accuracy on the pool, estimated from what it was tested on; None while that is little.
        agreement: the last labels against what was predicted before they came; None before there are any.
        choice: which candidate won and by how much, as a sentence; empty when there was one only.
        predicts: tasks are pre-annotated with it, whether it has learnt from labels or not.
        calibration: what calibrating its head does, with the reliability diagram; None where the learner keeps none.
    """

    control: str
    classes: tuple[str, ...]
    backbone: str
    note: str
    holdout: Measured | None
    cross_validation: Measured | None
    holdout_trusted: bool
    pool: PoolAccuracy | None = None
    agreement: Agreement | None = None
    choice: str = ""
    predicts: bool = True
    calibration: Reliability | None = None

    @property
    def metrics(self) -> Measured | None:
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
        annotations: answers people gave, skips left out.
        hours: hours people had tasks open, skips included.
        stopping: whether labelling can stop.
        stopped: why no training starts by itself any more; empty while they do.
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
        last_refusal: why the gate last refused a candidate; empty once a training ends in a version and without a refusal.
        unsupported: controls that are not learnt, one line each.
        set_aside: notes on labels that are not used, one line each.
        findings: what is wrong with the labelled tasks, and what was done about it, one line each.
        broken: tasks set aside, by id.
        studio: the project in Label Studio; None when it cannot be asked.
        fine_tuning: what the fine-tuning of the backbone does, or what came of the last; empty where there was none.
        errors: what went wrong, one sentence each.
    """

    project: int
    title: str
    tasks: int
    labels: int
    pool: int
    annotations: int
    hours: float
    stopping: StoppingAdvice
    stopped: str
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
    findings: tuple[str, ...]
    broken: dict[int, BrokenItem]
    studio: StudioReport | None
    fine_tuning: str = ""
    errors: list[str] = field(default_factory=list)
