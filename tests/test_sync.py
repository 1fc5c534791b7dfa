"""The book follows Label Studio by as little as will do; a counter that disagrees makes it read everything."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from labelloop.labelstudio import LabelStudio
from labelloop.service.book import Book, read_book, write_book
from labelloop.service.store import Store
from labelloop.service.sync import synchronise


class Instance(LabelStudio):
    """Stands for a Label Studio whose answers a test needs to count and to bend."""

    def __init__(self) -> None:
        self.held: dict[int, dict[str, Any]] = {}
        self.pulls: list[str | None] = []

    def put(self, task_id: int, second: int, *labels: str, cancelled: bool = False) -> None:
        annotations = [
            {
                "id": task_id * 10 + index,
                "result": [{"value": {"choices": [label]}}],
                "was_cancelled": cancelled,
                "updated_at": moment(second),
            }
            for index, label in enumerate(labels)
        ]
        self.held[task_id] = {
            "id": task_id, "data": {"text": str(task_id)}, "updated_at": moment(second), "annotations": annotations
        }  # fmt: skip

    def tasks(
        self, project_id: int, *, updated_since: str | None = None, page_size: int = 1000
    ) -> Iterator[dict[str, Any]]:
        self.pulls.append(updated_since)
        return (task for task in self.held.values() if updated_since is None or task["updated_at"] > updated_since)

    def project(self, project_id: int) -> dict[str, Any]:
        return self.counters()

    def counters(self) -> dict[str, Any]:
        annotations = [annotation for task in self.held.values() for annotation in task["annotations"]]
        skipped = sum(annotation["was_cancelled"] for annotation in annotations)
        return {
            "id": 1,
            "task_number": len(self.held),
            "total_annotations_number": len(annotations) - skipped,
            "skipped_annotations_number": skipped,
        }


def moment(second: int) -> str:
    return f"2026-11-24T02:{second // 60:02d}:{second % 60:02d}.000000Z"


def filled() -> tuple[Instance, Book]:
    instance = Instance()
    for task_id in range(1, 6):
        instance.put(task_id, task_id)
    book = synchronise(Book(), instance, instance.counters())
    instance.pulls.clear()
    return instance, book


def test_the_first_pull_takes_everything() -> None:
    _, book = filled()
    assert book.tasks.keys() == {1, 2, 3, 4, 5}
    assert book.watermark == moment(5)


def test_a_change_is_pulled_by_the_watermark_alone() -> None:
    instance, book = filled()
    instance.put(2, 50, "cat")
    book = synchronise(book, instance, instance.counters())
    assert len(instance.pulls) == 1
    assert instance.pulls[0] is not None
    assert book.counts() == (5, 1, 0)


def test_the_pull_looks_back_a_little_behind_the_watermark() -> None:
    instance, book = filled()
    instance.put(1, 4, "late to commit")
    book = synchronise(book, instance, instance.counters())
    assert book.counts() == (5, 1, 0)
    assert len(instance.pulls) == 1


def test_a_deleted_task_is_found_by_the_counters() -> None:
    instance, book = filled()
    del instance.held[3]
    book = synchronise(book, instance, instance.counters())
    assert book.tasks.keys() == {1, 2, 4, 5}
    assert instance.pulls[-1] is None


def test_an_annotation_imported_behind_the_watermark_is_found_by_the_counters() -> None:
    instance, book = filled()
    instance.put(1, 1, "cat")
    assert synchronise(book, instance, instance.counters()).counts() == (5, 1, 0)


def test_a_skip_is_counted_apart() -> None:
    instance, book = filled()
    instance.put(1, 30, "cat", cancelled=True)
    assert synchronise(book, instance, instance.counters()).counts() == (5, 0, 1)
    assert len(instance.pulls) == 1


def test_a_label_given_during_the_pull_does_not_cost_a_pull_of_everything() -> None:
    instance, book = filled()
    before = instance.counters()
    instance.put(2, 50, "cat")
    assert synchronise(book, instance, before).counts() == (5, 1, 0)
    assert None not in instance.pulls


def test_people_who_label_faster_than_is_pulled_do_not_cost_a_pull_of_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    instance, book = filled()
    seconds = iter(range(50, 90))
    pull = instance.tasks

    def pull_while_they_label(project_id: int, **asked: Any) -> list[dict[str, Any]]:
        second = next(seconds)
        instance.put(second, second, "cat")
        found = list(pull(project_id, **asked))
        instance.put(second + 100, second, "dog")
        return found

    monkeypatch.setattr(instance, "tasks", pull_while_they_label)
    assert synchronise(book, instance, instance.counters()).counts() == (6, 1, 0)
    assert len(instance.pulls) == 1


def test_only_a_change_is_worth_keeping_again() -> None:
    instance, book = filled()
    book.changed = False
    assert not synchronise(book, instance, instance.counters()).changed
    instance.put(2, 50, "cat")
    assert synchronise(book, instance, instance.counters()).changed


def test_everything_is_read_again_after_a_while_and_when_asked() -> None:
    instance, book = filled()
    synchronise(book, instance, instance.counters(), full=True)
    book.full_at = time.time() - 1000
    synchronise(book, instance, instance.counters(), full_every=900)
    book.full_at = time.time() + 1000  # the clock was set back
    synchronise(book, instance, instance.counters(), full_every=900)
    assert instance.pulls == [None, None, None]


def test_a_book_is_kept_and_read_back(tmp_path_factory: Any) -> None:
    store = Store(str(tmp_path_factory.mktemp("store")))
    instance, book = filled()
    instance.put(2, 50, "cat")
    book = synchronise(book, instance, instance.counters())
    write_book(store, "projects/p", book)
    assert read_book(store, "projects/p") == book


def test_a_book_of_another_release_is_read_anew(tmp_path_factory: Any) -> None:
    store = Store(str(tmp_path_factory.mktemp("store")))
    store.write_json("projects/p/cache/book.json", {"format": 0, "tasks": [{"unknown": 1}]})
    assert read_book(store, "projects/p") == Book()
