"""What people have said, and how much of it is new."""

from dataclasses import replace

import pytest

from labelloop.labelstudio import AnnotationRecord, TaskRecord
from labelloop.records import Control, Modality
from labelloop.service.book import Book
from labelloop.service.labelling import Labels, count_changes, describe_removed, in_queue, labels_of

CONTROL = Control("class", "Choices", "text", "text", Modality.TEXT, ("cat", "dog"))


def task(task_id: int, *labels: str, cancelled: bool = False) -> TaskRecord:
    annotations = tuple(
        AnnotationRecord(
            id=task_id * 10 + voter,
            completed_by=voter,
            was_cancelled=cancelled,
            ground_truth=False,
            updated_at="2026-11-24T02:00:00.000000Z",
            result=[{"from_name": "class", "to_name": "text", "type": "choices", "value": {"choices": [label]}}],
        )
        for voter, label in enumerate(labels)
    )
    return TaskRecord(task_id, {"text": "x"}, "2026-11-24T02:00:00.000000Z", annotations)


def book(*tasks: TaskRecord) -> Book:
    return Book({task.id: task for task in tasks})


def test_labels_of_classes_the_config_has_lost_are_set_aside_and_counted() -> None:
    found = labels_of(book(task(1, "cat"), task(2, "emu"), task(3, "emu"), task(4)), CONTROL)
    assert {task_id: target.label for task_id, target in found.targets.items()} == {1: "cat"}
    assert found.removed == {"emu": 2}
    assert describe_removed({"class": found}) == (
        "2 labels of class 'emu' in 'class' are set aside: the label config no longer has it.",
    )


def test_labels_that_come_from_the_tasks_are_those_that_people_used() -> None:
    control = replace(CONTROL, labels=(), options=(("labels_from", "options"),))
    found = labels_of(book(task(1, "cat"), task(2, "emu"), task(3)), control)
    assert {task_id: target.summary for task_id, target in found.targets.items()} == {1: "cat", 2: "emu"}
    assert found.removed == {}


def test_a_skip_is_no_label_and_leaves_the_task_in_the_queue() -> None:
    skipped = task(1, "cat", cancelled=True)
    assert labels_of(book(skipped), CONTROL).targets == {}
    assert in_queue(skipped, overlap=1)


@pytest.mark.parametrize(
    ("annotations", "overlap", "expected"), [(0, 1, True), (1, 1, False), (1, 2, True), (2, 2, False)]
)
def test_a_task_leaves_the_queue_when_enough_people_have_annotated_it(
    annotations: int, overlap: int, expected: bool
) -> None:
    assert in_queue(task(1, *["cat"] * annotations), overlap) is expected


@pytest.mark.parametrize(
    ("now", "before", "changes"),
    [
        ({"class": {"1": "cat"}}, {}, 1),
        ({"class": {"1": "cat"}}, {"class": {"1": "cat"}}, 0),
        ({"class": {"1": "dog"}}, {"class": {"1": "cat"}}, 1),
        ({}, {"class": {"1": "cat"}}, 1),
        ({"class": {"1": "cat", "2": "dog"}}, {"class": {"2": "cat", "3": "dog"}}, 3),
        ({"a": {"1": "x"}, "b": {"1": "y"}}, {}, 1),
    ],
)
def test_new_changed_and_deleted_labels_count_once_a_task(now: Labels, before: Labels, changes: int) -> None:
    assert count_changes(now, before) == changes
