"""From a task's annotations to one label, and from a prediction to what Label Studio imports."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from labelloop.labelstudio.codecs import codec_for
from labelloop.labelstudio.tasks import AnnotationRecord, TaskRecord
from labelloop.records import ClassTarget, Control, Prediction, Target

Vote = tuple[AnnotationRecord, str]


def merge(control: Control, task: TaskRecord) -> Target | None:
    """What people say of a task, merged into one label.

    Skips are no labels. Where there is ground truth, only that counts. Each annotator has one vote, the latest; the
    majority wins, a tie goes to the label given most recently, then to the one that comes first in the config.

    Returns:
        The label, with the share of the votes that agree as its weight; None when nobody has said anything clear.
    """
    votes = _votes(control, task.annotations)
    truth = [vote for vote in votes if vote[0].ground_truth]
    votes = _latest_by_annotator(truth or votes)
    if not votes:
        return None
    label, agreeing = _majority(control, votes)
    return ClassTarget(label, agreeing / len(votes), ground_truth=bool(truth))


def prediction_json(
    task_id: int, model_version: str, score: float, shown: Iterable[tuple[Control, Prediction]]
) -> dict[str, Any]:
    """A prediction as the bulk import wants it.

    Args:
        task_id: of which task.
        model_version: by which version.
        score: the task's place in the queue, lowest first; held within [0, 1].
        shown: what annotators are to see of each control; where it is empty, the score alone orders the queue.

    Raises:
        ValueError: the score is not a finite number; databases disagree on where a null sorts.
    """
    if not math.isfinite(score):
        raise ValueError(f"the score of task {task_id} is {score}")
    result = [region for control, prediction in shown for region in codec_for(control).write(control, prediction)]
    return {
        "task": task_id,
        "result": result,
        "score": min(1.0, max(0.0, float(score))),
        "model_version": model_version,
    }


def _votes(control: Control, annotations: Iterable[AnnotationRecord]) -> list[Vote]:
    codec = codec_for(control)
    said = [
        (annotation, codec.read(control, annotation.result))
        for annotation in annotations
        if not annotation.was_cancelled
    ]
    return [(annotation, label) for annotation, label in said if label is not None]


def _latest_by_annotator(votes: list[Vote]) -> list[Vote]:
    """The latest vote of each annotator; an annotation of nobody known is a vote of its own."""
    latest: dict[tuple[str, int], Vote] = {}
    for vote in sorted(votes, key=_age):
        annotation = vote[0]
        voter = ("annotation", annotation.id) if annotation.completed_by is None else ("user", annotation.completed_by)
        latest[voter] = vote
    return list(latest.values())


def _majority(control: Control, votes: list[Vote]) -> tuple[str, int]:
    counts = Counter(label for _, label in votes)
    most = max(counts.values())
    recent = max(annotation.updated_at for annotation, label in votes if counts[label] == most)
    winners = {label for annotation, label in votes if counts[label] == most and annotation.updated_at == recent}
    return min(winners, key=lambda label: _place(control, label)), most


def _place(control: Control, label: str) -> tuple[int, str]:
    known = label in control.labels
    return control.labels.index(label) if known else len(control.labels), label


def _age(vote: Vote) -> tuple[str, int]:
    return vote[0].updated_at, vote[0].id
