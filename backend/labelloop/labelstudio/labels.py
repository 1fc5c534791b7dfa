"""From a task's annotations to one target, and from a prediction to what Label Studio imports."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from labelloop.labelstudio import conditions, dynamic
from labelloop.labelstudio.codecs import ATTRIBUTES, codec_for
from labelloop.labelstudio.tasks import AnnotationRecord, Region, TaskRecord
from labelloop.records import AttributesPrediction, Control, Prediction, Target, value_of

Vote = tuple[AnnotationRecord, Target]


def merge(control: Control, task: TaskRecord) -> Target | None:
    """What people say of a task, merged into one.

    Skips are no labels, and of a control that was not shown a blank answer is none. Where there is ground truth, only that
    counts. Each annotator has one vote, the latest; how votes are merged is the codec's business, which prefers the most
    recent, and of the same moment what comes first in the config.

    Returns:
        The target, with the share of the votes that agree as its weight; None when nobody has said anything clear.
    """
    votes = _votes(control, task)
    truth = [vote for vote in votes if vote[0].ground_truth]
    votes = _latest_by_annotator(truth or votes)
    if not votes:
        return None
    votes.sort(key=lambda vote: _places(control, vote[1]))
    votes.sort(key=lambda vote: vote[0].updated_at, reverse=True)
    merged: Any = codec_for(control).merge(control, [target for _, target in votes])
    found: Target = replace(merged, ground_truth=bool(truth))
    return found


def showable(
    control: Control, prediction: Prediction, data: Mapping[str, Any], threshold: float = 0.0
) -> Prediction | None:
    """What annotators are to see of a prediction: what the task offers, of classes that exist, at least as confident as that.

    A task that offers few labels makes the model surer among them, or leaves nothing that it is sure of.
    """
    told = dynamic.narrowed(control, prediction, data)
    return None if told is None else told.shown(control.labels, threshold)


def visible_controls(
    said: Mapping[Control, Prediction], data: Mapping[str, Any], drawn: Sequence[Region] = ()
) -> set[str]:
    """The names of the controls that are visible beside what a model says of the others, however sure, and what is drawn.

    Of a control that waits for one of which nothing is said, as of one that is not learnt, nobody knows; it is among them.
    """
    if not any(map(conditions.conditional, said)):
        return {control.name for control in said}
    told = [(control, fit) for control, one in said.items() if (fit := showable(control, one, data)) is not None]
    regions = dict(_written(told, data))
    return conditions.visible_together([(control, regions.get(control, [])) for control in said], drawn, doubtful=True)


def prediction_json(
    task_id: int,
    model_version: str,
    score: float,
    shown: Iterable[tuple[Control, Prediction]],
    data: Mapping[str, Any],
    drawn: Sequence[Region] = (),
) -> dict[str, Any]:
    """A prediction as the bulk import wants it.

    Args:
        task_id: of which task.
        model_version: by which version.
        score: the task's place in the queue, lowest first; held within [0, 1].
        shown: what annotators are to see of each control (see `showable`); where it is empty, the score alone orders the
            queue. Controls that are not visible beside the others' regions are left out.
        data: the task's.
        drawn: what the annotator has drawn or chosen so far.

    Raises:
        ValueError: the score is not a finite number; databases disagree on where a null sorts.
    """
    if not math.isfinite(score):
        raise ValueError(f"the score of task {task_id} is {score}")
    told = list(shown)
    asking = {control.name for control, said in told if isinstance(said, AttributesPrediction)}
    return {
        "task": task_id,
        "result": _upheld(conditions.kept(_written(told, data), drawn), asking),
        "score": min(1.0, max(0.0, float(score))),
        "model_version": model_version,
    }


def _written(told: Sequence[tuple[Control, Prediction]], data: Mapping[str, Any]) -> list[tuple[Control, list[Region]]]:
    """The regions of each control; what is said of regions beside those that the others draw."""
    asked = any(isinstance(said, AttributesPrediction) for _, said in told)
    placed = [one for c, said in told if asked for one in codec_for(c).placed(c, said, value_of(data, c.data_key))]
    return [
        (control, ATTRIBUTES.write_beside(control, said, placed))
        if isinstance(said, AttributesPrediction)
        else (control, codec_for(control).write(control, said, value_of(data, control.data_key)))
        for control, said in told
    ]


def _upheld(result: list[Region], asking: Collection[str]) -> list[Region]:
    """The regions less what controls say of regions that are not sent, because a condition hides them."""
    drawn = {region.get("id") for region in result if region["from_name"] not in asking}
    return [region for region in result if region["from_name"] not in asking or region["id"] in drawn]


def _votes(control: Control, task: TaskRecord) -> list[Vote]:
    codec, value = codec_for(control), value_of(task.data, control.data_key)
    said = [
        (annotation, codec.read(control, conditions.about_visible(control, annotation.result), value))
        for annotation in task.annotations
        if not annotation.was_cancelled and _asked(control, annotation.result)
    ]
    return [(annotation, target) for annotation, target in said if target is not None]


def _asked(control: Control, result: list[Region]) -> bool:
    """Whether an annotator saw a control: it has an answer, or is visible beside the others'."""
    return any(region.get("from_name") == control.name for region in result) or conditions.visible(control, result)


def _latest_by_annotator(votes: list[Vote]) -> list[Vote]:
    """The latest vote of each annotator; an annotation of nobody known is a vote of its own."""
    latest: dict[tuple[str, int], Vote] = {}
    for vote in sorted(votes, key=_age):
        annotation = vote[0]
        voter = ("annotation", annotation.id) if annotation.completed_by is None else ("user", annotation.completed_by)
        latest[voter] = vote
    return list(latest.values())


def _places(control: Control, target: Target) -> list[tuple[int, str]]:
    last = len(control.labels)
    return [(control.labels.index(c) if c in control.labels else last, c) for c in target.classes]


def _age(vote: Vote) -> tuple[str, int]:
    return vote[0].updated_at, vote[0].id
