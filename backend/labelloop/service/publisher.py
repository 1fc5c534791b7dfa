"""Writes the live version's scores into Label Studio, the most urgent first, and then lets them order the queue.

A push is done in parts, each a job of its own, so that a training never waits for a whole one. What Label Studio has acknowledged is
noted in the store; after a crash in the middle of an import, Label Studio is asked what it holds.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from labelloop.errors import LabelStudioRejected
from labelloop.labelstudio import TaskRecord
from labelloop.records import MOST_SHOWN
from labelloop.service.book import Book, read_book
from labelloop.service.context import Context
from labelloop.service.labelling import in_queue
from labelloop.service.project_settings import switch_queue
from labelloop.service.projects import Project
from labelloop.service.push_state import PushState, read_push, write_push
from labelloop.service.scoring import Scorer
from labelloop.service.state import Progress
from labelloop.service.versions import Version

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.05
BODY_MOST = 32 * 2**20
"""Bytes of one import. Label Studio announces 250 MB, keeps many times a body in memory, and an area alone may take 100 kB."""
PREDICT_SLICE = 500


def push_is_due(context: Context, project: Project, book: Book) -> bool:
    """Whether the queue lacks scores of the live version."""
    live = context.versions(project).live_name()
    waiting = (task.id for task in book.tasks.values() if in_queue(task, project.overlap))
    state = read_push(context.store, project.folder)
    if live is None or state is None or state.version != live or (state.done and not state.switched):
        return live is not None and next(waiting, None) is not None
    return any(task_id not in state.done for task_id in waiting)


def push_part(
    context: Context, project: Project, report: Progress, unavailable: set[int], taken: Callable[[], bool]
) -> bool:
    """Do one part of the push.

    Args:
        context: the doors.
        project: whose queue.
        report: told how far it is.
        unavailable: tasks that could not be had in the parts before this one, which are not asked for again; more are added.
        taken: whether another push is at work by now; how far it is, is then its to note.

    Returns:
        True when there is more to do.

    Raises:
        LabelStudioError: Label Studio could not be written to; what it acknowledged is noted, and the next part goes on from there.
    """
    version = context.versions(project).live()
    if version is None:
        return False
    push = _Push(context, project, version, report, unavailable, taken)
    if not push.next_chunk():
        push.prepare()
    chunk = push.next_chunk()
    if chunk:
        push.send(chunk)
    push.switch()
    return push.unfinished()


class _Push:
    """One part of a push.

    Args:
        context: the doors.
        project: whose queue.
        version: whose scores.
        report: told how far it is.
        unavailable: tasks that cannot be had for now; more are added.
        taken: whether another push is at work by now.
    """

    def __init__(
        self,
        context: Context,
        project: Project,
        version: Version,
        report: Progress,
        unavailable: set[int],
        taken: Callable[[], bool],
    ) -> None:
        self._context = context
        self._project = project
        self._version = version
        self._report = report
        self._book = read_book(context.store, project.folder)
        self._state = self._read_state()
        self._unavailable = unavailable
        self._taken = taken
        self._scorer = Scorer(context, project, version, self._book, report, unavailable)

    def next_chunk(self) -> list[TaskRecord]:
        """The most urgent tasks that have a score Label Studio does not know; few before the queue is switched."""
        scores, settings = self._state.scores, self._context.settings
        scored = sorted((task for task in self._waiting() if task.id in scores), key=lambda t: (scores[t.id], t.id))
        return scored[: settings.push_chunk if self._state.switched else settings.push_first]

    def prepare(self) -> None:
        """Give scores to waiting tasks that have none, as far as this part goes."""
        unscored = [task for task in self._waiting() if task.id not in self._state.scores]
        self._state.scores.update(self._scorer.scores(unscored))

    def send(self, tasks: list[TaskRecord]) -> None:
        """Import the predictions of some tasks, of as many as fit in one import, and note that Label Studio has them.

        Raises:
            LabelStudioError: it has not; it is asked what it holds when the push goes on.
        """
        started, state, name = time.monotonic(), self._state, self._version.name
        done = len(state.done)
        self._report("push", done, done + sum(1 for _ in self._waiting()))
        items = self._items(tasks)
        state.certain = False
        self._note()
        if self._import(items) != len(items):
            self._send_scores_alone(items)
        state.done |= {task.id for task in tasks[: len(items)]}
        state.certain = True
        self._note()
        took = time.monotonic() - started
        logger.info("Project %d: %d scores of %s written in %.1f s", self._project.key.id, len(items), name, took)
        if cut := self._scorer.cut:
            where = f"{len(cut)} task(s), the first being {cut[0]}"
            told = "Project %d: of %s only the %d surest regions of a control are shown; split such tasks into several"
            logger.warning(told, self._project.key.id, where, MOST_SHOWN)

    def _send_scores_alone(self, items: list[dict[str, Any]]) -> None:
        """Import those of the predictions that Label Studio did not keep again, without what they say: they order the queue.

        Raises:
            LabelStudioRejected: it does not keep the scores either.
        """
        held = self._tasks_held(self._version.name)
        bare = [{**item, "result": []} for item in items if item["task"] not in held]
        if not bare:
            return
        refused = f"{len(bare)} task(s), the first being {bare[0]['task']}"
        logger.error("Project %d: Label Studio keeps only the scores of %s", self._project.key.id, refused)
        if self._import(bare) != len(bare):
            raise LabelStudioRejected(f"Label Studio does not keep what {self._version.name} says of {refused}.")

    def switch(self) -> None:
        """Let the scores order the queue once the first are there, unless another version has gone live meanwhile."""
        state, versions = self._state, self._context.versions(self._project)
        if not state.switched and self._held() and versions.live_name() == state.version:
            switch_queue(self._context.label_studio, self._project.key.id, self._context.settings, state.version)
            state.switched = True
            self._note()
            logger.info("Project %d: the scores of %s order the queue", self._project.key.id, state.version)

    def unfinished(self) -> bool:
        """Whether another part would find something to do."""
        return any(task.id not in self._unavailable for task in self._waiting())

    def _note(self) -> None:
        """Keep how far it is, unless that would overwrite what another push has noted."""
        if not self._taken():
            write_push(self._context.store, self._project.folder, self._state)

    def _import(self, items: list[dict[str, Any]]) -> int:
        """Import, and switch the queue as soon as the first predictions are there.

        Label Studio stores them at once and then takes seconds to recount the project before it answers.
        """
        label_studio, project_id = self._context.label_studio, self._project.key.id
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(label_studio.import_predictions, project_id, items)
            while not self._state.switched and not wait([answer], timeout=LOOK_EVERY).done:
                self.switch()
            return answer.result()

    def _held(self) -> int:
        """How many predictions of this version Label Studio has."""
        return self._context.label_studio.model_versions(self._project.key.id).get(self._state.version, 0)

    def _waiting(self) -> Iterator[TaskRecord]:
        tasks, done, overlap = self._book.tasks.values(), self._state.done, self._project.overlap
        return (task for task in tasks if task.id not in done and in_queue(task, overlap))

    def _items(self, tasks: list[TaskRecord]) -> list[dict[str, Any]]:
        """The predictions to import, of the first of the tasks and as many more as fit in one import."""
        items: list[dict[str, Any]] = []
        size = 0
        for start in range(0, len(tasks), PREDICT_SLICE):
            for item in self._scorer.predictions(tasks[start : start + PREDICT_SLICE], self._state.scores):
                size += len(json.dumps(item))
                if items and size > BODY_MOST:
                    return items
                items.append(item)
        return items

    def _read_state(self) -> PushState:
        """How far this version's push is; where that is not certain, Label Studio is asked what it holds."""
        state = read_push(self._context.store, self._project.folder)
        if state is None or state.version != self._version.name:
            state = PushState(self._version.name)
        if not state.certain:
            state.done = self._tasks_held(state.version)
            state.certain = True
        return state

    def _tasks_held(self, version: str) -> set[int]:
        """Tasks that Label Studio has a prediction of a version for."""
        label_studio, project_id = self._context.label_studio, self._project.key.id
        if not label_studio.model_versions(project_id).get(version):
            return set()
        return self._book.tasks.keys() - set(label_studio.tasks_without(project_id, version))
