"""What a version says of the tasks that wait, and the scores that follow from it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from labelloop.labelstudio import TaskRecord, prediction_json
from labelloop.learning import ClassificationLearner, Learner, TextLearner
from labelloop.records import MOST_SHOWN, Control, Prediction, parts_of
from labelloop.service.book import Book
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
from labelloop.service.projects import Project
from labelloop.service.state import BrokenItem, Place, Progress, note_broken, read_broken
from labelloop.service.versions import Version

EMBED_SLICE: Final = 512
"""Tasks embedded in one part, so that a training can go in between."""
BATCHES_UNDERWAY: Final = 2
"""People label one batch until a training starts and about one more until its scores have arrived."""


class Scorer:
    """Scores and predicts tasks with one version, after embedding some where that is needed.

    Args:
        context: the doors.
        project: whose tasks.
        version: whose scores.
        book: the tasks.
        report: told how far the embedding is.
        unavailable: tasks that cannot be had for now; more are added.

    Attributes:
        cut: tasks of which `predictions` left out regions, as there are more than are shown.
    """

    def __init__(
        self,
        context: Context,
        project: Project,
        version: Version,
        book: Book,
        report: Progress,
        unavailable: set[int],
    ) -> None:
        self._context = context
        self._project = project
        self._version = version
        self._book = book
        self._report = report
        self._broken: dict[Place, BrokenItem] = read_broken(context.store, project.folder)
        self._unavailable = unavailable
        self._predicted: dict[int, dict[str, Prediction]] = {}
        self.cut: list[int] = []

    def scores(self, tasks: Sequence[TaskRecord]) -> dict[int, float]:
        """Scores by task id of those of the tasks that can have theirs in this part.

        Before anything is learnt the order covers the pool, which needs all features first. With a model, what has features is
        scored before more is embedded.
        """
        if self._version.stage != "trained":
            return self._score_ready(tasks) if self._embed_some(tasks) else {}
        if scores := self._score_ready(tasks):
            return scores
        self._embed_some(tasks)
        return self._score_ready(tasks)

    def predictions(self, tasks: Sequence[TaskRecord], scores: Mapping[int, float]) -> Iterator[dict[str, Any]]:
        """The predictions of tasks that have a score, in the form Label Studio takes them."""
        rest = [task for task in tasks if task.id not in self._predicted]
        embedded = {name: embedder.cached(rest) for name, embedder in self._embedders.items()}
        predictions = predict_all(self._learners, embedded)
        name, threshold = self._version.name, self._context.settings.show_threshold
        for task in tasks:
            said = self._predicted.get(task.id) or predictions.get(task.id, {})
            shown = worth_showing(self._asked.values(), said, threshold, task.data)
            if any(len(parts_of(one)) == MOST_SHOWN < len(parts_of(said[control.name])) for control, one in shown):
                self.cut.append(task.id)
            yield prediction_json(task.id, name, scores[task.id], shown, task.data)

    def _embed_some(self, tasks: Sequence[TaskRecord]) -> bool:
        """Embed a slice of what has no features; True when nothing that can be had lacks them any more."""
        lacking = self._lacking(tasks)
        for start in range(0, len(lacking), EMBED_SLICE):
            part = lacking[start : start + EMBED_SLICE]
            before = len(self._unavailable)
            for embedder in self._embedders.values():
                embedded = embedder.embed(part, self._report)
                self._broken |= embedded.broken
                note_broken(self._context, self._project, embedded.broken, self._book.tasks)
                self._unavailable.update(embedded.unavailable)
            if len(self._unavailable) - before < len(part):  # some could be had, so this part has done its share
                return start + EMBED_SLICE >= len(lacking)
        return True

    def _lacks(self, tasks: Sequence[TaskRecord]) -> list[tuple[TaskRecord, list[Embedder]]]:
        """The tasks, each with those whose features it lacks."""
        lacks: dict[int, list[Embedder]] = {task.id: [] for task in tasks}
        for embedder in self._embedders.values():
            for task in embedder.lacking(tasks):
                lacks[task.id].append(embedder)
        return [(task, lacks[task.id]) for task in tasks]

    def _lacking(self, tasks: Sequence[TaskRecord]) -> list[TaskRecord]:
        """The tasks that lack features which they may get now."""
        return [
            task
            for task, lacks in self._lacks(tasks)
            if task.id not in self._unavailable and not all(one.sets_aside(task) for one in lacks)
        ]

    def _settled(self, tasks: Sequence[TaskRecord]) -> list[TaskRecord]:
        """The tasks that have the features of every control, or will not get those they lack for now."""
        return [
            task
            for task, lacks in self._lacks(tasks)
            if all(one.sets_aside(task) for one in lacks)
            or (task.id in self._unavailable and len(lacks) < len(self._embedders))
        ]

    def _score_ready(self, tasks: Sequence[TaskRecord]) -> dict[int, float]:
        """Score the tasks that have all their features, or never will."""
        settled = self._settled(tasks)
        embedded = {name: embedder.cached(settled) for name, embedder in self._embedders.items()}
        features = embedded[self._version.leading.control.name]
        first = set(features.ids)
        ready = [*features.ids, *(task.id for task in settled if task.id not in first)]
        predictions = predict_all(self._learners, embedded)
        self._predicted |= predictions  # the most urgent of them are sent next
        counted = {i: counting(self._asked.values(), said, self._book.tasks[i].data) for i, said in predictions.items()}
        order, settings = self._version.order, self._context.settings
        probabilities, members = self._beliefs(features, counted)
        return score_queue(order, settings, ready, counted, features, probabilities, self._known(), members=members)

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
