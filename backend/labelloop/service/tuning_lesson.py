"""What a fine-tuning learns: settled when it begins, so that it can go on from where it was."""

import logging
from collections.abc import Sequence
from typing import Any, Final

from labelloop.errors import MediaError, MediaUnavailable
from labelloop.labelstudio import TaskRecord, with_used_labels
from labelloop.learning import assign_holdout
from labelloop.learning.preparation import near_duplicate_groups
from labelloop.learning.tuning import TUNERS, Lesson
from labelloop.records import Control, Kind, Modality, strata, value_of
from labelloop.service.context import Context
from labelloop.service.embedding import Embedded
from labelloop.service.labelling import in_queue
from labelloop.service.reading import Reading, media_of, object_of
from labelloop.service.releases import asks_alike, backbone_spec
from labelloop.service.scene import Scene
from labelloop.service.tuning_state import Attempt
from labelloop.service.versions import LearnerRecord

logger = logging.getLogger(__name__)

# Share of the items that may be away; with more, their host is, and it is better to wait for it.
AWAY_MOST: Final = 0.1
VALIDATION_SHARE: Final = 0.2
VALIDATION_MOST: Final = 300
UNLABELLED_MOST: Final = 2000


def settle(scene: Scene, record: LearnerRecord) -> Attempt | None:
    """What is learnt for a learner of the live version; None where the label config has changed since.

    Labels that the live version trained on teach, or decide when to stop. Those it holds out are never looked at, and those it
    has not placed yet might be held out by the next.
    """
    settings = scene.context.settings
    control = _same(
        scene, record.control.name, record.control.kind, record.classes, object_of(record.control, settings)
    )
    if control is None:
        return None
    targets, sides = scene.labelled[control.name].targets, scene.sides(control)
    found = scene.embedder(record).cached([scene.book.tasks[task_id] for task_id in sorted(targets)])
    content_of = {
        i: content for i, content in zip(found.ids, found.contents, strict=True) if sides.get(content) is False
    }
    said: dict[int, Any] = {task_id: targets[task_id] for task_id in content_of}
    spread = strata({content: said[task_id] for task_id, content in content_of.items()})
    aside = _aside(spread, dict(zip(found.contents, near_duplicate_groups(found.features).tolist(), strict=True)))
    return Attempt(
        control=control.name,
        classes=control.labels,
        labels={i: target for i, target in said.items() if content_of[i] not in aside},
        validation={i: target for i, target in said.items() if content_of[i] in aside},
        unlabelled=_unlabelled(scene, control),
        contents=tuple(sorted(set(content_of.values()))),
        shown=object_of(control, settings),
        kind=control.kind,
        start=backbone_spec(settings, control),
    )


def control_of(scene: Scene, attempt: Attempt) -> Control | None:
    """The control an attempt is about; None when it is not as it was."""
    return _same(scene, attempt.control, attempt.kind, attempt.classes, attempt.shown)


def asks_otherwise(scene: Scene, attempt: Attempt, control: Control) -> bool:
    """Whether the settings name another backbone now than the one that an attempt starts from."""
    return attempt.start is None or not asks_alike(attempt.start, backbone_spec(scene.context.settings, control))


def tasks_are_gone(scene: Scene, attempt: Attempt) -> bool:
    """Whether a task that is still to teach is gone."""
    wanted = {*attempt.labels, *attempt.validation, *attempt.unlabelled}
    return attempt.backbone is None and not wanted <= scene.book.tasks.keys()


def lesson_of(scene: Scene, attempt: Attempt, control: Control, read: Embedded) -> Lesson:
    """An attempt's lesson.

    Args:
        scene: the project.
        attempt: what was settled.
        control: what it is about.
        read: features of those of its tasks that can be read, under the backbone to start from.
    """
    return Lesson(
        _media(scene, control, read.ids),
        [attempt.labels[task_id] for task_id in read.ids],
        attempt.classes,
        _media(scene, control, list(attempt.validation)),
        list(attempt.validation.values()),
        _media(scene, control, attempt.unlabelled),
        read.features,
    )


def _same(scene: Scene, name: str, kind: Kind, classes: tuple[str, ...], shown: str) -> Control | None:
    """The control of that name; None where it asks otherwise now, for other classes, or about another object."""
    settings, wanted = scene.context.settings, (name, kind, classes, shown)
    controls = (with_used_labels(c, scene.labelled[c.name].targets.values()) for c in scene.config.controls)
    return next((c for c in controls if (c.name, c.kind, c.labels, object_of(c, settings)) == wanted), None)


def _unlabelled(scene: Scene, control: Control) -> tuple[int, ...]:
    if not TUNERS[control.kind].unlabelled or scene.context.settings.fine_tune_method == "supervised":
        return ()
    overlap, settings, said = scene.project.overlap, scene.context.settings, scene.labelled[control.name].targets
    waiting = (task for task in scene.book.tasks.values() if task.id not in said and in_queue(task, overlap))
    reading = Reading(control, settings)
    pool = sorted(task.id for task in waiting if reading.place(task) not in scene.broken)
    return tuple(pool[:: 1 + len(pool) // UNLABELLED_MOST])


def _aside(spread: dict[str, str], groups: dict[str, int]) -> set[str]:
    """The contents that decide when to stop, a share of each stratum; near-duplicates, which share a group, stand on one side."""
    share = min(VALIDATION_SHARE, VALIDATION_MOST / max(len(spread), 1))
    return {content for content, held in assign_holdout(spread, {}, share, groups).items() if held}


def _media(scene: Scene, control: Control, task_ids: Sequence[int]) -> Any:
    return _Media(scene.context, control, [scene.book.tasks[task_id] for task_id in task_ids])


class _Media(Sequence[Any]):
    """What tasks show, read when it is needed; nothing for what is there no longer, which is then left out like what is broken.

    Raises:
        MediaUnavailable: so much cannot be had for now that the rest would not stand for it.
    """

    def __init__(self, context: Context, control: Control, tasks: Sequence[TaskRecord]) -> None:
        self._context = context
        self._control = control
        self._tasks = tasks
        self._away: set[int] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def __getitem__(self, place: Any) -> Any:
        task = self._tasks[place]
        try:
            return media_of(self._context, self._control, task.id, value_of(task.data, self._control.data_key))
        except MediaError as error:
            self._away.add(task.id)
            if isinstance(error, MediaUnavailable) and len(self._away) > max(1, AWAY_MOST * len(self._tasks)):
                raise
            logger.warning("Task %d is left out of the fine-tuning: %s", task.id, error)
            return b"" if self._control.modality is Modality.IMAGE else ""
