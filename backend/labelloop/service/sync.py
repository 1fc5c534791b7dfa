"""Reads what is true from Label Studio into the book, by as little as will do."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from labelloop.labelstudio import LabelStudio, read_task
from labelloop.service.book import Book

logger = logging.getLogger(__name__)

OVERLAP = timedelta(seconds=2)
"""An update is stamped before it is committed, so a pull looks back a little behind its watermark."""

ATTEMPTS = 3
"""People go on labelling between the look at the counters and the pull, which must not cost a pull of everything."""

Counts = tuple[int, int, int]
"""Tasks, annotations, and skipped ones."""


def synchronise(
    book: Book,
    label_studio: LabelStudio,
    project: dict[str, Any],
    *,
    full: bool = False,
    full_every: float = 900.0,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Book:
    """Bring the book up to date.

    What changed is pulled by watermark. When the book then disagrees with the project's counters before the pull and after it
    (something was deleted, or imported behind the watermark), when the last full pull is long ago, or when asked, everything is
    pulled.

    Args:
        book: the copy so far; it is changed, or replaced by a new one.
        label_studio: the truth.
        project: the project as Label Studio gave it just now, with its counters.
        full: pull everything.
        full_every: seconds after which everything is pulled anyway.
        report: told (tasks read, tasks in all).

    Returns:
        The book that is up to date.

    Raises:
        LabelStudioError: it cannot be read; the book may hold a part of what changed, which is no harm.
    """
    if not full and book.watermark and abs(time.time() - book.full_at) < full_every:
        for _ in range(ATTEMPTS):
            for task in label_studio.tasks(project["id"], updated_since=_look_back(book.watermark)):
                book.take(read_task(task))
            if book.counts() == _counters(project):
                return book
            before, project = project, label_studio.project(project["id"])
            if _lies_between(book.counts(), _counters(before), _counters(project)):
                return book
        logger.info("Project %d: the counters disagree with the local copy, so every task is read", project["id"])
    return _pull_all(label_studio, project, report)


def _pull_all(label_studio: LabelStudio, project: dict[str, Any], report: Callable[[int, int], None]) -> Book:
    book = Book(full_at=time.time(), changed=True)
    for done, task in enumerate(label_studio.tasks(project["id"]), start=1):
        book.take(read_task(task))
        if done % 500 == 0:
            report(done, project["task_number"])
    return book


def _counters(project: dict[str, Any]) -> Counts:
    return project["task_number"], project["total_annotations_number"], project["skipped_annotations_number"]


def _lies_between(counts: Counts, before: Counts, after: Counts) -> bool:
    return all(min(ends) <= count <= max(ends) for count, *ends in zip(counts, before, after, strict=True))


def _look_back(watermark: str) -> str:
    moment = datetime.fromisoformat(watermark.replace("Z", "+00:00")) - OVERLAP
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
