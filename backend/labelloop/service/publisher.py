"""Writes the live version's scores into Label Studio, the most urgent first, and then lets them order the queue.

A push is done in parts, each a job of its own, so that a training never waits for a whole one. What Label Studio has acknowledged is
noted in the store; after a crash in the middle of an import, Label Studio is asked what it holds.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelloop.errors import LabelStudioRejected
from labelloop.labelstudio import TaskRecord, prediction_json, rules_of
from labelloop.learning import ClassificationLearner, Learner, TextLearner
from labelloop.records import Control, Prediction
from labelloop.service.book import Book, read_book
from labelloop.service.context import Context
from labelloop.service.embedding import Embedded, Embedder
from labelloop.service.labelling import in_queue, labels_of
from labelloop.service.ordering import (
    Known,
    counting,
    known_skill,
    predict_all,
    score_queue,
    speaking_for_all,
    still_asked_for,
    task_uncertainty,
    varieties,
    worth_showing,
)
from labelloop.service.project_settings import switch_queue
from labelloop.service.projects import Project
from labelloop.service.push_state import PushState, read_push, write_push
from labelloop.service.state import BrokenItem, Place, Progress, note_broken, read_broken
from labelloop.service.versions import Version

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.05
EMBED_SLICE = 512
"""Tasks embedded in one part, so that a training can go in between."""
BODY_MOST = 32 * 2**20
"""Bytes of one import. Label Studio announces 250 MB, keeps many times a body in memory, and an area alone may take 100 kB."""
PREDICT_SLICE = 500
BATCHES_UNDERWAY = 2
"""People label one batch until a training starts and about one more until its scores have arrived."""


def push_is_due(context: Context, project: Project, book: Book) -> bool:
    """Whether the queue lacks scores of the live version."""
    live = context.versions(project).live_name()
    waiting = (task.id for task in book.tasks.values() if in_queue(task, project.overlap))
    state = read_push(context.store, project.folder)
    if live is None or state is None or state.version != live or (state.done and not state.switched):
        return live is not None and next(waiting, None) is not None
    return any(task_id not in state.done for task_id in waiting)


def push_part(context: Context, project: Project, report: Progress, unavailable: set[int]) -> bool:
    """Do one part of the push.

    Args:
        context: the doors.
        project: whose queue.
        report: told how far it is.
        unavailable: tasks that could not be had in the parts before this one, which are not asked for again; more are added.

    Returns:
        True when there is more to do.

    Raises:
        LabelStudioError: Label Studio could not be written to; what it acknowledged is noted, and the next part goes on from there.
    """
    version = context.versions(project).live()
    if version is None:
        return False
    push = _Push(context, project, version, report, unavailable)
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
    """

    def __init__(
        self, context: Context, project: Project, version: Version, report: Progress, unavailable: set[int]
    ) -> None:
        self._context = context
        self._project = project
        self._version = version
        self._report = report
        self._book = read_book(context.store, project.folder)
        self._state = self._read_state()
        self._broken: dict[Place, BrokenItem] = read_broken(context.store, project.folder)
        self._unavailable = unavailable
        self._predicted: dict[int, dict[str, Prediction]] = {}

    def next_chunk(self) -> list[TaskRecord]:
        """The most urgent tasks that have a score Label Studio does not know; few before the queue is switched."""
        scores, settings = self._state.scores, self._context.settings
        scored = sorted((task for task in self._waiting() if task.id in scores), key=lambda t: (scores[t.id], t.id))
        return scored[: settings.push_chunk if self._state.switched else settings.push_first]

    def prepare(self) -> None:
        """Give scores to waiting tasks that have none, after embedding some where that is needed.

        Before anything is learnt the order covers the pool, which needs all features first. With a model, what has features is
        pushed before more is embedded.
        """
        if self._version.stage == "trained":
            if not self._score_ready():
                self._embed_some()
                self._score_ready()
        elif self._embed_some():
            self._score_ready()

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
        write_push(self._context.store, self._project.folder, state)
        if self._import(items) != len(items):
            self._send_scores_alone(items)
        state.done |= {task.id for task in tasks[: len(items)]}
        state.certain = True
        write_push(self._context.store, self._project.folder, state)
        took = time.monotonic() - started
        logger.info("Project %d: %d scores of %s written in %.1f s", self._project.key.id, len(items), name, took)

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
            write_push(self._context.store, self._project.folder, state)

    def unfinished(self) -> bool:
        """Whether another part would find something to do."""
        return any(task.id not in self._unavailable for task in self._waiting())

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

    def _embed_some(self) -> bool:
        """Embed a slice of what has no features; True when nothing that can be had lacks them any more."""
        lacking = self._lacking()
        for start in range(0, len(lacking), EMBED_SLICE):
            part = lacking[start : start + EMBED_SLICE]
            before = len(self._unavailable)
            for embedder in self._embedders.values():
                embedded = embedder.embed(part, self._report)
                self._broken |= embedded.broken
                note_broken(
                    self._context.store,
                    self._project.folder,
                    embedded.broken,
                    self._book.tasks,
                    rules_of(self._context.settings),
                )
                self._unavailable.update(embedded.unavailable)
            if len(self._unavailable) - before < len(part):  # some could be had, so this part has done its share
                return start + EMBED_SLICE >= len(lacking)
        return True

    def _unscored(self) -> list[tuple[TaskRecord, list[Embedder]]]:
        """The waiting tasks without a score, each with those whose features it lacks."""
        waiting = [task for task in self._waiting() if task.id not in self._state.scores]
        lacks: dict[int, list[Embedder]] = {task.id: [] for task in waiting}
        for embedder in self._embedders.values():
            for task in embedder.lacking(waiting):
                lacks[task.id].append(embedder)
        return [(task, lacks[task.id]) for task in waiting]

    def _lacking(self) -> list[TaskRecord]:
        """The tasks without a score that lack features which they may get now."""
        return [
            task
            for task, lacks in self._unscored()
            if task.id not in self._unavailable and not all(one.sets_aside(task) for one in lacks)
        ]

    def _settled(self) -> list[TaskRecord]:
        """The tasks without a score that have the features of every control, or will not get those they lack for now."""
        return [
            task
            for task, lacks in self._unscored()
            if all(one.sets_aside(task) for one in lacks)
            or (task.id in self._unavailable and len(lacks) < len(self._embedders))
        ]

    def _score_ready(self) -> bool:
        """Score the waiting tasks that have all their features, or never will; True when there were any."""
        settled = self._settled()
        embedded = {name: embedder.cached(settled) for name, embedder in self._embedders.items()}
        features = embedded[self._version.leading.control.name]
        first = set(features.ids)
        ready = [*features.ids, *(task.id for task in settled if task.id not in first)]
        predictions = predict_all(self._learners, embedded)
        self._predicted |= predictions  # the most urgent of them are sent next
        counted = {i: counting(self._asked.values(), said, self._book.tasks[i].data) for i, said in predictions.items()}
        order, settings = self._version.order, self._context.settings
        probabilities, members = self._beliefs(features, counted)
        scores = score_queue(order, settings, ready, counted, features, probabilities, self._known(), members=members)
        self._state.scores.update(scores)
        return bool(scores)

    def _items(self, tasks: list[TaskRecord]) -> list[dict[str, Any]]:
        """The predictions to import, of the first of the tasks and as many more as fit in one import."""
        items: list[dict[str, Any]] = []
        size = 0
        for start in range(0, len(tasks), PREDICT_SLICE):
            for item in self._predictions(tasks[start : start + PREDICT_SLICE]):
                size += len(json.dumps(item))
                if items and size > BODY_MOST:
                    return items
                items.append(item)
        return items

    def _predictions(self, tasks: list[TaskRecord]) -> Iterator[dict[str, Any]]:
        """Their predictions in the form Label Studio takes them."""
        rest = [task for task in tasks if task.id not in self._predicted]
        embedded = {name: embedder.cached(rest) for name, embedder in self._embedders.items()}
        predictions = predict_all(self._learners, embedded)
        scores, name, threshold = self._state.scores, self._version.name, self._context.settings.show_threshold
        for task in tasks:
            said = self._predicted.get(task.id) or predictions.get(task.id, {})
            shown = worth_showing(self._asked.values(), said, threshold, task.data)
            yield prediction_json(task.id, name, scores[task.id], shown, task.data)

    def _beliefs(
        self, features: Embedded, counted: Mapping[int, Mapping[str, Prediction]]
    ) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
        """Class probabilities of the tasks that have the leading control's features, and its members' for `bald`, as far as any are."""
        learner, settings = self._leading_learner, self._context.settings
        if learner is None or not features.ids:
            return None, None
        inputs = features.inputs(learner.reads)
        probabilities, members = learner.probabilities(inputs), None
        if self._version.order == "bald" and isinstance(learner, ClassificationLearner):
            members = learner.members(inputs)
        leading = self._version.leading.control.name
        hidden = np.array([leading not in counted[i] for i in features.ids], dtype=bool)
        if probabilities is not None and hidden.any():
            doubts = np.array([task_uncertainty(counted[i], settings) for i in features.ids])
            probabilities = speaking_for_all(probabilities, hidden, doubts)
            members = None if members is None else np.where(hidden[:, None], probabilities, members)
        return probabilities, members

    def _known(self) -> Known:
        """What strategies go by beside the queue, of the control that they look at."""
        record, settings = self._version.leading, self._context.settings
        control = self._controls[record.control.name]
        targets = labels_of(self._book, control).targets
        labelled = [task for task in self._book.tasks.values() if not in_queue(task, self._project.overlap)]
        single = control.kind.single
        found = self._embedders[control.name].cached([t for t in labelled if single or t.id in targets])
        number = {label: place for place, label in enumerate(record.classes)}
        labels = [number.get(targets[i].summary, -1) if i in targets else -1 for i in found.ids]
        return Known(
            found.features,
            np.array(labels, dtype=np.int64) if single else None,
            len(record.classes) if single else varieties(targets.values()),
            known_skill(record, settings),
            BATCHES_UNDERWAY * settings.train_after,
            remembered=isinstance(self._leading_learner, TextLearner),
        )

    @cached_property
    def _asked(self) -> dict[str, Control]:
        """The controls that the config still has, as they are now, by name."""
        return still_asked_for(self._version.learners, self._project.label_config)

    @cached_property
    def _controls(self) -> dict[str, Control]:
        """Every control of the version, by name; what the config no longer has as it was trained."""
        return {record.control.name: record.control for record in self._version.learners} | self._asked

    @cached_property
    def _embedders(self) -> dict[str, Embedder]:
        return {
            record.control.name: Embedder(
                self._context,
                self._project,
                self._controls[record.control.name],
                record.backbone_spec,
                record.backbone,
                self._broken,
            )
            for record in self._version.learners
        }

    @property
    def _leading_learner(self) -> Learner | None:
        """That of the control whose features strategies look at; None while it has learnt nothing."""
        return self._learners.get(self._controls[self._version.leading.control.name])

    @cached_property
    def _learners(self) -> dict[Control, Learner]:
        versions, name = self._context.versions(self._project), self._version.name
        return {self._controls[record.control.name]: versions.learner(name, record) for record in self._version.learnt}

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
