"""From tasks to features: what the cache lacks is fetched, embedded and kept."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from labelloop.errors import MediaBroken, MediaUnavailable
from labelloop.labelstudio import TaskRecord, rules_of
from labelloop.learning import (
    AskedItems,
    Backbone,
    BackboneSpec,
    Dense,
    DenseBackbone,
    Parts,
    Reads,
    ResolvedBackbone,
)
from labelloop.records import Control, Part, value_of
from labelloop.service.context import Context
from labelloop.service.features import DenseRows, Matrix, content_key
from labelloop.service.projects import Project
from labelloop.service.reading import Reading, media_of
from labelloop.service.state import BrokenItem, Place, Progress, by_reason
from labelloop.service.tuned import load_recorded

logger = logging.getLogger(__name__)

REASONS_TOLD = 10
"""Lines on what is set aside, of one part of a push."""
FETCHERS = 8
FETCHED_AT_ONCE = 32
CHUNK, CHUNK_BYTES = 256, 128 * 2**20
"""Items that are embedded and kept together, fewer where they are large: media and features are in memory until then."""
CHARACTER_BYTES = 128
"""What a character of a text counts for: the features of its words take several hundred bytes, or more where each is a word."""


@dataclass(slots=True)
class Embedded:
    """Features of some tasks.

    Attributes:
        ids: the tasks that have features, in the order of the rows.
        features: float32 [len(ids), d].
        contents: content digest of each.
        dense: dense features of each; none where the backbone gives none.
        broken: what will not get features, with why.
        unavailable: tasks that cannot be had for now, with why.
    """

    ids: list[int]
    features: Matrix
    contents: list[str]
    dense: DenseRows = field(default_factory=lambda: DenseRows(()))
    broken: dict[Place, BrokenItem] = field(default_factory=dict)
    unavailable: dict[int, str] = field(default_factory=dict)

    def inputs(
        self, reads: Reads, rows: Sequence[int] | None = None, parts: Sequence[Sequence[Part]] | None = None
    ) -> Any:
        """What a learner reads of the tasks, or of some of the rows.

        Args:
            reads: what kind of it.
            rows: which of them; None: all.
            parts: of each of those, the regions that a learner of regions is asked about; None: none.
        """
        if reads is Reads.ROWS:
            return self.features if rows is None else self.features[np.asarray(rows, dtype=int)]
        dense = self.dense if rows is None else self.dense.take(rows)
        if reads is Reads.DENSE:
            return dense
        return AskedItems(dense, [()] * len(dense) if parts is None else parts)


class Embedder:
    """Embeds one project's tasks for one control under one backbone.

    Args:
        context: the doors.
        project: whose tasks.
        control: which data key and modality.
        spec: the backbone as asked for.
        resolved: the backbone as found; its network is loaded when an item is not in the cache.
        known_broken: what was set aside before; it is not tried again until its task changes.
    """

    def __init__(
        self,
        context: Context,
        project: Project,
        control: Control,
        spec: BackboneSpec,
        resolved: ResolvedBackbone,
        known_broken: dict[Place, BrokenItem],
    ) -> None:
        self._context = context
        self._project_id = project.key.id
        self._control = control
        self._spec = spec
        self._resolved = resolved
        self._known_broken = known_broken
        self._reading = Reading(control, context.settings)
        self._rules = rules_of(context.settings)
        self._features = context.features(project, resolved.id)

    @cached_property
    def _backbone(self) -> Backbone:
        return load_recorded(self._context, self._spec, self._resolved)

    def cached(self, tasks: Sequence[TaskRecord]) -> Embedded:
        """The features that are here already; nothing is fetched."""
        keys = [self._key(task) for task in tasks]
        matrix, found = self._features.get(keys)
        here = [task for task, ok in zip(tasks, found, strict=True) if ok]
        keys = [key for key, ok in zip(keys, found, strict=True) if ok]
        contents = [content or "" for content in self._features.contents(keys)]
        dense = DenseRows(()) if self._spec.parts is Parts.NONE else self._features.dense(keys)
        return Embedded([task.id for task in here], matrix, contents, dense)

    def lacking(self, tasks: Sequence[TaskRecord]) -> list[TaskRecord]:
        """Those of the tasks whose features are not here."""
        known = self._features.known([self._key(task) for task in tasks])
        return [task for task, here in zip(tasks, known, strict=True) if not here]

    def embed(self, tasks: Sequence[TaskRecord], report: Progress) -> Embedded:
        """The features of the tasks; what is missing is computed and kept, a chunk at a time."""
        missing = self.lacking(tasks)
        broken = {self._place(task): self._known_broken[self._place(task)] for task in missing if self.sets_aside(task)}
        todo = [task for task in missing if self._place(task) not in broken]
        unavailable: dict[int, str] = {}
        if todo:
            self._embed_missing(todo, broken, unavailable, report)
        embedded = self.cached(tasks)
        embedded.broken, embedded.unavailable = broken, unavailable
        return embedded

    def _embed_missing(
        self,
        tasks: Sequence[TaskRecord],
        broken: dict[Place, BrokenItem],
        unavailable: dict[int, str],
        report: Progress,
    ) -> None:
        """Compute and keep the features of tasks, and tell the log; what cannot be had is noted."""
        started, done, known = time.monotonic(), 0, set(broken)
        report("embed", done, len(tasks))
        for fetched in self._fetched(tasks, broken, unavailable):
            self._embed_chunk(fetched, broken)
            done += len(fetched)
            report("embed", done, len(tasks))
        took, project, name = time.monotonic() - started, self._project_id, self._resolved.name
        logger.info("Project %d: %d tasks embedded under %s in %.1f s", project, done, name, took)
        self._tell_set_aside((place[0], note) for place, note in broken.items() if place not in known)
        if unavailable:
            task_id, reason = next(iter(unavailable.items()))
            logger.warning("Project %d: %d tasks wait, such as %d: %s", project, len(unavailable), task_id, reason)

    def _fetched(
        self, tasks: Sequence[TaskRecord], broken: dict[Place, BrokenItem], unavailable: dict[int, str]
    ) -> Iterator[list[tuple[TaskRecord, Any]]]:
        """Tasks with their media, as many at a time as fit in memory; what cannot be had is noted."""
        found: list[tuple[TaskRecord, Any]] = []
        size = 0
        with ThreadPoolExecutor(FETCHERS) as pool:
            for start in range(0, len(tasks), FETCHED_AT_ONCE):
                part = tasks[start : start + FETCHED_AT_ONCE]
                for task, outcome in zip(part, pool.map(self._media, part), strict=True):
                    if isinstance(outcome, MediaBroken):
                        broken[self._place(task)] = self._set_aside(task, str(outcome))
                    elif isinstance(outcome, MediaUnavailable):
                        unavailable[task.id] = str(outcome)
                    else:
                        found.append((task, outcome))
                        size += _size(outcome)
                    if len(found) >= CHUNK or size >= CHUNK_BYTES:
                        yield found
                        found, size = [], 0
        if found:
            yield found

    def _embed_chunk(self, fetched: Sequence[tuple[TaskRecord, Any]], broken: dict[Place, BrokenItem]) -> None:
        matrix, dense = embed_whole(self._backbone, self._spec, [media for _, media in fetched])
        whole: NDArray[np.bool_] = np.asarray(np.isfinite(matrix).all(axis=1))
        for (task, _), ok in zip(fetched, whole, strict=True):
            if not ok:
                broken[self._place(task)] = self._set_aside(task, f"{self._control.data_key!r} cannot be decoded")
        kept = [one for one, ok in zip(fetched, whole, strict=True) if ok]
        self._features.add(
            [self._key(task) for task, _ in kept],
            [content_key(media) for _, media in kept],
            matrix[whole],
            [dense[row] for row in np.flatnonzero(whole)] if dense else None,
        )

    def _media(self, task: TaskRecord) -> bytes | str | MediaBroken | MediaUnavailable:
        try:
            return media_of(self._context, self._control, task.id, value_of(task.data, self._control.data_key))
        except (MediaBroken, MediaUnavailable) as error:
            return error

    def sets_aside(self, task: TaskRecord) -> bool:
        """Whether what the control looks at could not be read before, and would not be read now."""
        note = self._known_broken.get(self._place(task))
        return note is not None and note.holds(task, self._rules)

    def _set_aside(self, task: TaskRecord, reason: str) -> BrokenItem:
        return BrokenItem(reason, task.updated_at, self._rules)

    def _tell_set_aside(self, found: Iterable[tuple[int, BrokenItem]]) -> None:
        """Tell the log of each reason once, since thousands of tasks may share one."""
        reasons = by_reason(found)
        for reason, ids in reasons[:REASONS_TOLD]:
            which = f"task {ids[0]} is" if len(ids) == 1 else f"{len(ids)} tasks, such as {ids[0]}, are"
            logger.warning("Project %d: %s set aside: %s", self._project_id, which, reason)
        if others := sum(len(ids) for _, ids in reasons[REASONS_TOLD:]):
            logger.warning("Project %d: %d more tasks are set aside for other reasons", self._project_id, others)

    def _place(self, task: TaskRecord) -> Place:
        return self._reading.place(task)

    def _key(self, task: TaskRecord) -> str:
        return self._reading.key(value_of(task.data, self._control.data_key))


def _size(media: bytes | str) -> int:
    return len(media) * (CHARACTER_BYTES if isinstance(media, str) else 1)


def embed_whole(
    backbone: Backbone, spec: BackboneSpec, media: list[Any]
) -> tuple[NDArray[np.floating[Any]], list[Dense]]:
    """Features of some media, and their dense ones where the spec asks for such; else none."""
    if spec.parts is Parts.NONE:
        return backbone.embed(media), []
    return cast(DenseBackbone, backbone).embed_dense(media)
