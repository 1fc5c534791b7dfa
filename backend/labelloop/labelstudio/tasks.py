"""Tasks and annotations as Labelloop keeps them: the few fields it needs, plain enough to be kept as JSON."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self

from labelloop.errors import PayloadError

Region = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AnnotationRecord:
    """One annotation.

    Attributes:
        id: its id in Label Studio.
        completed_by: id of the annotator, None when Label Studio does not know.
        was_cancelled: the task was skipped; this is no label.
        ground_truth: a person marked it as ground truth.
        updated_at: UTC, ISO 8601 with microseconds, so that text order is time order.
        result: its regions.
        lead_time: seconds its annotator had the task open, 0 where Label Studio does not know.
    """

    id: int
    completed_by: int | None
    was_cancelled: bool
    ground_truth: bool
    updated_at: str
    result: list[Region]
    lead_time: float = 0.0


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """One task with its annotations.

    Attributes:
        id: its id in Label Studio.
        data: what is to be annotated, by data key; addresses are as they were imported.
        updated_at: UTC, ISO 8601 with microseconds, so that text order is time order.
        annotations: all of them, skips included.
    """

    id: int
    data: dict[str, Any]
    updated_at: str
    annotations: tuple[AnnotationRecord, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values; `from_json` reads it."""
        # Not `asdict`, which would copy each number of a brush's areas.
        names = [one.name for one in fields(AnnotationRecord)]
        annotations = [{name: getattr(annotation, name) for name in names} for annotation in self.annotations]
        return {"id": self.id, "data": self.data, "updated_at": self.updated_at, "annotations": annotations}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        annotations = tuple(AnnotationRecord(**annotation) for annotation in record["annotations"])
        return cls(record["id"], record["data"], record["updated_at"], annotations)


def read_task(task: Mapping[str, Any]) -> TaskRecord:
    """Read a task as Label Studio's API or a /predict request gives it.

    Raises:
        PayloadError: a field that every task has is missing or malformed.
    """
    try:
        annotations = tuple(_annotation(annotation) for annotation in task.get("annotations") or ())
        return TaskRecord(int(task["id"]), dict(task["data"]), _moment(task["updated_at"]), annotations)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PayloadError(f"A task of Label Studio cannot be read: {type(error).__name__} at {error!s:.80}.") from None


def _annotation(annotation: Mapping[str, Any]) -> AnnotationRecord:
    return AnnotationRecord(
        id=int(annotation["id"]),
        completed_by=_user(annotation.get("completed_by")),
        was_cancelled=bool(annotation.get("was_cancelled")),
        ground_truth=bool(annotation.get("ground_truth")),
        updated_at=_moment(annotation["updated_at"]),
        result=_regions(annotation.get("result")),
        lead_time=_seconds(annotation.get("lead_time")),
    )


def _user(value: object) -> int | None:
    """An annotator is given as an id or, by some of Label Studio's answers, as an object."""
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, int) else None


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) and 0 < value < math.inf else 0.0


def _regions(value: object) -> list[Region]:
    return [region for region in value if isinstance(region, dict)] if isinstance(value, list) else []


def _moment(text: str) -> str:
    """Label Studio leaves out microseconds that are zero, and then text order is not time order."""
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
