"""The Data Manager's task list, and its query language as far as Labelloop asks with it."""

import json
from collections.abc import Iterator
from typing import Any

from labelloop.labelstudio.verbs import Verbs

Filter = dict[str, Any]

PAGE = 500
"""Tasks asked for at a time: from about a thousand uploaded files on a page, SQLite gives up on what Label Studio asks of it."""


class DataManager(Verbs):
    """Lists tasks."""

    def list_tasks(self, project_id: int, include: str, page_size: int, *filters: Filter) -> Iterator[dict[str, Any]]:
        """Tasks that pass all filters, in order of id.

        Each page begins behind the last id of the one before, so what comes, goes or changes meanwhile shifts no task out of sight,
        and it does not matter whether Label Studio allows pages of that size (TASK_API_PAGE_SIZE_MAX).

        Args:
            project_id: of which project.
            include: the fields wanted, of tasks and annotations alike, with commas between.
            page_size: tasks asked for at a time.
            filters: see this module's functions.
        """
        last = 0
        while True:
            answer = self._page(project_id, include, page_size, *filters, id_above(last))
            page = answer["tasks"]
            yield from page
            if not page or len(page) >= answer["total"]:
                return
            last = page[-1]["id"]

    def count_tasks(self, project_id: int, *, annotated: bool | None = None, scored: bool | None = None) -> int:
        """How many tasks a project has.

        Args:
            project_id: which project.
            annotated: only those with an annotation that is not a skip, or only those without.
            scored: only those with a score of the version that the project selects, or only those without.
        """
        filters = [with_annotations(annotated)] if annotated is not None else []
        filters += [with_score(scored)] if scored is not None else []
        return int(self._page(project_id, "id", 1, *filters)["total"])

    def _page(self, project_id: int, include: str, page_size: int, *filters: Filter) -> dict[str, Any]:
        query = {"filters": {"conjunction": "and", "items": filters}, "ordering": ["tasks:id"]}
        params = {
            "project": project_id,
            "page_size": page_size,
            "fields": "all" if "annotations" in include else "task_only",
            "include": include,
            "resolve_uri": "false",
            "query": json.dumps(query),
        }
        page: dict[str, Any] = self.get("/api/tasks", params=params)
        return page


def changed_since(moment: str) -> Filter:
    """Tasks updated at that moment (ISO 8601, UTC) or later."""
    return _filter("updated_at", "greater_or_equal", "Datetime", moment)


def id_above(task_id: int) -> Filter:
    """Tasks with a greater id."""
    return _filter("id", "greater", "Number", task_id)


def with_annotations(some: bool) -> Filter:
    """Tasks with at least one annotation that is not a skip, or with none."""
    return _filter("total_annotations", "greater" if some else "equal", "Number", 0)


def with_score(some: bool) -> Filter:
    """Tasks with a score of the version that the project selects, or without."""
    return _filter("predictions_score", "empty", "Number", not some)


def without_version(model_version: str) -> Filter:
    """Tasks that have no prediction whose version contains that text.

    The value must be a list: Label Studio takes a plain text for a list of its letters.
    """
    return _filter("predictions_model_versions", "not_contains", "String", [model_version])


def _filter(field: str, operator: str, kind: str, value: object) -> Filter:
    return {"filter": f"filter:tasks:{field}", "operator": operator, "type": kind, "value": value}
