"""Whether a tuned backbone goes live: a head on its features against the live version, and against the features in use."""

from collections.abc import Mapping
from dataclasses import dataclass

from labelloop.labelstudio import TaskRecord
from labelloop.learning import Figures, Metrics
from labelloop.service.releases import learner_record
from labelloop.service.scene import Scene
from labelloop.service.state import Progress
from labelloop.service.training import Candidate, near_duplicates, train_control
from labelloop.service.tuning_state import Attempt
from labelloop.service.versions import LearnerRecord


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a tuned backbone.

    Attributes:
        candidates: by control name, what goes live; empty when it is refused.
        reason: one sentence with the figures.
    """

    candidates: Mapping[str, Candidate]
    reason: str


def judge_tuned(scene: Scene, attempt: Attempt, record: LearnerRecord, report: Progress) -> Verdict:
    """Train a head on the tuned features and let the gate compare it with the live version on the same held-out labels.

    It must also beat a head trained on the same labels and the features in use, or the gain would be the new labels'. What has no
    tuned features by now, as its media are away, is left out of both.

    Raises:
        NotEnoughLabels: fewer than two classes have labels now.
    """
    sides = scene.sides(record.control)
    if any(sides.get(content) for content in attempt.contents):
        return Verdict({}, "The live version holds out labels that the backbone was trained on.")
    in_use = learner_record(scene.context.settings, record.control, scene.live)
    labelled = [scene.book.tasks[task_id] for task_id in sorted(scene.labelled[record.control.name].targets)]
    lacking = {task.id for task in scene.embedder(record).lacking(labelled)}
    tasks = [task for task in labelled if task.id not in lacking]
    # A network that was trained on some of them draws all closer together, near-duplicates or not.
    near = near_duplicates(scene.embedder(in_use), tasks)
    tuned = _candidate(scene, record, tasks, sides | dict.fromkeys(attempt.contents, False), near, report)
    if reason := refusal(tuned, _candidate(scene, in_use, tasks, tuned.sides, near, report)):
        return Verdict({}, reason)
    return Verdict({record.control.name: tuned}, tuned.decision.reason)


def _candidate(
    scene: Scene,
    record: LearnerRecord,
    tasks: list[TaskRecord],
    sides: dict[str, bool],
    near: dict[int, int],
    report: Progress,
) -> Candidate:
    return train_control(
        record,
        tasks,
        scene.labelled[record.control.name].targets,
        scene.embedder(record),
        sides,
        scene.incumbent(record.control),
        scene.context.settings,
        report,
        near=near,
    )


def refusal(tuned: Candidate, in_use: Candidate) -> str:
    """Why the tuned backbone may not go live; empty when it may."""
    if not tuned.decision.accepted:
        return tuned.decision.reason
    new, old = tuned.record.metrics, in_use.record.metrics
    if isinstance(new, Metrics) and isinstance(old, Metrics):
        return _refusal_of_classes(new, old)
    if isinstance(new, Figures) and isinstance(old, Figures):
        return _refusal_of_values(new, old)
    return "There are no held-out labels to judge on."


def _refusal_of_values(new: Figures, old: Figures) -> str:
    if new.value > old.value:
        return ""
    return f"On the tuned features, the {new.name} is {new.value:.3f} on {new.items} held-out labels, on those in use {old.value:.3f}."


def _refusal_of_classes(new: Metrics, old: Metrics) -> str:
    if new.accuracy <= old.accuracy:
        return (
            f"A head on the tuned features is right on {new.accuracy:.1%} of {new.items} held-out labels, "
            f"one on the features in use on {old.accuracy:.1%}."
        )
    # A backbone knows the labels it was trained on, so what cross-validation calibrates on its features is too sure of itself.
    if new.log_loss > old.log_loss:
        return (
            f"A head on the tuned features is right on {new.accuracy:.1%} of {new.items} held-out labels instead of "
            f"{old.accuracy:.1%}, but too sure where it is wrong: log loss {new.log_loss:.3f} instead of {old.log_loss:.3f}."
        )
    return ""
