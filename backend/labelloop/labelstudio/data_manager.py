"""The Data Manager's query language, as far as Labelloop asks with it."""

import json
from typing import Any

Filter = dict[str, Any]


def changed_since(moment: str) -> Filter:
    """Tasks updated at that moment (ISO 8601, UTC) or later."""
    return _filter("updated_at", "greater_or_equal", "Datetime", moment)


def id_above(task_id: int) -> Filter:
    """Tasks with a greater id."""
    return _filter("id", "greater", "Number", task_id)


def annotated(some: bool) -> Filter:
    """Tasks with at least one annotation that is not a skip, or with none."""
    return _filter("total_annotations", "greater" if some else "equal", "Number", 0)


def scored(some: bool) -> Filter:
    """Tasks with a score of the version that the project selects, or without."""
    return _filter("predictions_score", "empty", "Number", not some)


def without_version(model_version: str) -> Filter:
    """Tasks that have no prediction whose version contains that text.

    The value must be a list: Label Studio takes a plain text for a list of its letters.
    """
    return _filter("predictions_model_versions", "not_contains", "String", [model_version])


def query(*filters: Filter, order: str = "id") -> str:
    """The `query` parameter for tasks that pass all filters, in ascending order of one field."""
    return json.dumps({"filters": {"conjunction": "and", "items": filters}, "ordering": [f"tasks:{order}"]})


def _filter(field: str, operator: str, kind: str, value: object) -> Filter:
    return {"filter": f"filter:tasks:{field}", "operator": operator, "type": kind, "value": value}
