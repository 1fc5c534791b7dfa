"""The local copy of a project's tasks and annotations: a cache, made anew from Label Studio whenever it is gone or doubted."""

from dataclasses import dataclass, field
from typing import Any

from labelloop.labelstudio import TaskRecord
from labelloop.service.store import Store

FORMAT = 2


@dataclass(slots=True)
class Book:
    """Every task of a project with its annotations.

    Attributes:
        tasks: by id.
        watermark: the latest `updated_at` seen, as Label Studio wrote it; empty before the first pull.
        full_at: Unix time of the last pull of everything.
        changed: it holds something the kept copy does not.
    """

    tasks: dict[int, TaskRecord] = field(default_factory=dict)
    watermark: str = ""
    full_at: float = 0.0
    changed: bool = field(default=False, compare=False)

    def take(self, task: TaskRecord) -> None:
        """Put a task in, in place of what was known of it."""
        self.watermark = max(self.watermark, task.updated_at)
        if self.tasks.get(task.id) != task:
            self.tasks[task.id] = task
            self.changed = True

    def counts(self) -> tuple[int, int, int]:
        """Tasks, annotations that are not skipped, and skipped ones, to compare with the project's counters."""
        skipped = [annotation.was_cancelled for task in self.tasks.values() for annotation in task.annotations]
        return len(self.tasks), len(skipped) - sum(skipped), sum(skipped)


def read_book(store: Store, folder: str) -> Book:
    """The copy in that project folder; an empty one when there is none that can be read."""
    record = store.read_json(_path(folder))
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        return Book()
    tasks = [TaskRecord.from_json(task) for task in record["tasks"]]
    return Book({task.id: task for task in tasks}, record["watermark"], record["full_at"])


def write_book(store: Store, folder: str, book: Book) -> None:
    """Keep the copy in that project folder."""
    tasks: list[Any] = [task.to_json() for task in book.tasks.values()]
    store.write_json(
        _path(folder), {"format": FORMAT, "tasks": tasks, "watermark": book.watermark, "full_at": book.full_at}
    )


def _path(folder: str) -> str:
    return f"{folder}/cache/book.json"
