"""What people have said so far: the labels of a project, and how they differ from those last trained on."""

from collections.abc import Mapping
from dataclasses import dataclass

from labelloop.labelstudio import LabelConfig, TaskRecord, merge, with_used_labels
from labelloop.records import Control, Target
from labelloop.service.book import Book

Labels = dict[str, dict[str, str]]
"""What was said by task id (as text), by control name: plain enough to compare and to keep as JSON."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """The usable labels of one control.

    Attributes:
        targets: by task id.
        removed: how many tasks name a class that the config no longer has, by that class.
    """

    targets: dict[int, Target]
    removed: dict[str, int]


def labels_of(book: Book, control: Control) -> Labelled:
    """What people said of a control; what names classes the config has lost is set aside."""
    said = {task.id: merge(control, task) for task in book.tasks.values()}
    control = with_used_labels(control, (target for target in said.values() if target is not None))
    there = set(control.labels)  # a tuple of thousands of classes would be searched for each label
    targets: dict[int, Target] = {}
    removed: dict[str, int] = {}
    for task_id, target in said.items():
        if target is None:
            continue
        left = target.within(there)
        if left is not None:
            targets[task_id] = left
        for label in set(target.classes) - there:
            removed[label] = removed.get(label, 0) + 1
    return Labelled(targets, removed)


def all_labels(book: Book, config: LabelConfig) -> dict[str, Labelled]:
    """The labels of every control Labelloop learns, by control name."""
    return {control.name: labels_of(book, control) for control in config.controls}


def plain(labelled: Mapping[str, Labelled]) -> Labels:
    """What was said, each in one line."""
    return {
        name: {str(task_id): target.summary for task_id, target in found.targets.items()}
        for name, found in labelled.items()
    }


def count_changes(now: Labels, before: Labels) -> int:
    """Tasks whose label is new, different or gone, in any control."""
    changed: set[str] = set()
    for control in now.keys() | before.keys():
        new, old = now.get(control, {}), before.get(control, {})
        changed |= {task for task in new.keys() | old.keys() if new.get(task) != old.get(task)}
    return len(changed)


def in_queue(task: TaskRecord, overlap: int) -> bool:
    """Whether people may still be served the task: fewer than `overlap` have annotated it (a skip does not count)."""
    return sum(not annotation.was_cancelled for annotation in task.annotations) < overlap


def describe_removed(labelled: Mapping[str, Labelled]) -> tuple[str, ...]:
    """One line for each class that labels have and the config has lost."""
    return tuple(
        f"{count} labels of class {label!r} in {name!r} are set aside: the label config no longer has it."
        for name, found in labelled.items()
        for label, count in sorted(found.removed.items())
    )
