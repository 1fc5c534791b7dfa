"""Tells the story of a version that has just gone live, as `history` keeps it: what it adds to its parent's."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from typing import Final

import numpy as np

from labelloop.errors import LearningError, StoreError, VersionError
from labelloop.labelstudio import TaskRecord
from labelloop.learning import Classifier, Learner, Measured
from labelloop.learning.pool_accuracy import Answers, PoolAccuracy, pool_accuracy
from labelloop.learning.stopping import STABLE_APART, Agreement, CurvePoint, Stability, agreement_of, stability_of
from labelloop.records import Prediction, Target
from labelloop.service.book import Book
from labelloop.service.context import Context
from labelloop.service.embedding import Embedder
from labelloop.service.history import ControlHistory, History, HistoryPoint, Snapshot, read_history, write_history
from labelloop.service.labelling import Labelled
from labelloop.service.projects import Project
from labelloop.service.training import Candidate
from labelloop.service.versions import LearnerRecord, Version, Versions

logger = logging.getLogger(__name__)

SAMPLE: Final = 1000
"""Tasks of the pool whose predictions are kept; more would not tell a kappa of 0.99 from one of 0.98 much better."""
# Labels between the predictions that are kept to compare later ones with, of versions that follow each other closely.
SPACED: Final = 5
KEPT: Final = 200
"""Versions a story goes back."""


def note_history(
    context: Context,
    project: Project,
    book: Book,
    version: Version,
    candidates: Mapping[str, Candidate],
    labelled: Mapping[str, Labelled],
) -> None:
    """Keep the story up to a version that has just gone live. What cannot be had is left out: the version serves without it.

    That of what the version has from its parent as it was goes on with its next learner.

    Args:
        context: the doors.
        project: whose.
        book: its tasks.
        version: which.
        candidates: what is new in it, by control name.
        labelled: the labels, by the same names and perhaps others.
    """
    try:
        story = _Story(context, project, book, version)
        new = {
            name: story.of(candidates[name].record, candidates[name].learner, labelled[name].targets)
            for name in (record.control.name for record in version.learners)
            if name in candidates
        }
        kept = {r.control.name for r in version.learners} & story.past.keys()
        write_history(context, project, version.name, {name: story.past[name] for name in kept} | new)
    except (StoreError, LearningError, VersionError) as error:
        logger.warning("Project %d: the history of %s is not kept: %s", project.key.id, version.name, error)


class _Story:
    """Adds a version to its parent's story."""

    def __init__(self, context: Context, project: Project, book: Book, version: Version) -> None:
        self._context = context
        self._project = project
        self._book = book
        self._version = version
        self._versions = context.versions(project)
        self._parent = self._versions.get(version.parent) if version.parent else None
        self.past = self._inherited()
        self._embedders: dict[tuple[str, str], Embedder] = {}

    def of(self, record: LearnerRecord, learner: Learner, targets: Mapping[int, Target]) -> ControlHistory:
        """The story of one control."""
        past = self.past.get(record.control.name)
        past = past if past is not None and past.classes == record.classes else ControlHistory(record.classes)
        labels = len(self._labels(self._version, record))
        # What is told of predictions is told of single classes; to predict others for nothing would take seconds.
        single = record.control.kind.single
        said = self._predict(record, learner, _sample(self._book, targets)) if single else {}
        picks = {task_id: one.summary for task_id, one in said.items()}
        point = HistoryPoint(
            self._version.name,
            labels,
            _curve_point(labels, record.metrics),
            _curve_point(labels, record.cv_metrics),
            _stability(past, picks, labels),
            self._pool(record, learner, targets, [one.confidence for one in said.values()]) if single else None,
            self._agreement(record, targets) if single else None,
        )
        place = {label: number for number, label in enumerate(record.classes)}
        numbers = tuple(place[label] for label in picks.values())
        points = (*past.points, point)[-KEPT:]
        return ControlHistory(record.classes, points, tuple(picks), numbers, _spaced(past.snapshots(), labels))

    def _inherited(self) -> History:
        """The story of the nearest ancestor that has one; a process that dies may leave a version without."""
        ancestor = self._parent
        while ancestor is not None:
            if found := read_history(self._context, self._project, ancestor.name):
                return found
            ancestor = _parent_of(self._versions, ancestor)
        return {}

    def _pool(
        self,
        record: LearnerRecord,
        learner: Learner,
        targets: Mapping[int, Target],
        confidences: Sequence[float],
    ) -> PoolAccuracy | None:
        answers = self._held_out(record, learner, targets)
        # A backbone that was tuned on labels has seen them, so that cross-validation on its features tests nothing.
        if isinstance(learner, Classifier) and learner.cv_answers and not record.backbone.tuned:
            answers += learner.cv_answers
        return pool_accuracy(answers, np.array(confidences))

    def _held_out(self, record: LearnerRecord, learner: Learner, targets: Mapping[int, Target]) -> Answers:
        """What the learner says of the holdout."""
        judged = set(self._versions.labels(self._version.name).get("judged", {}).get(record.control.name, ()))
        found = self._embedder(record).cached([self._book.tasks[task_id] for task_id in sorted(targets)])
        rows = [row for row, content in enumerate(found.contents) if content in judged]
        said = learner.predict(found.inputs(learner.reads, rows)) if rows else []
        right = [one.summary == targets[found.ids[row]].summary for row, one in zip(rows, said, strict=True)]
        return Answers(np.array([one.confidence for one in said]), np.array(right, dtype=bool))

    def _agreement(self, record: LearnerRecord, targets: Mapping[int, Target]) -> Agreement | None:
        """The parent's predictions for what was labelled since, which it cannot have learnt from."""
        parent = self._parent
        known = [one for one in parent.learners if one.control.name == record.control.name] if parent else []
        if parent is None or not known or not known[0].kind or not known[0].control.kind.single:
            return None
        learner = self._versions.learner(parent.name, known[0])
        learnt = self._labels(parent, record)
        fresh = [self._book.tasks[task_id] for task_id in sorted(targets) if str(task_id) not in learnt]
        said = self._predict(known[0], learner, fresh)
        return agreement_of([one.summary for one in said.values()], [targets[task_id].summary for task_id in said])

    def _labels(self, version: Version, record: LearnerRecord) -> dict[str, str]:
        labels: dict[str, str] = self._versions.labels(version.name).get("labels", {}).get(record.control.name, {})
        return labels

    def _predict(self, record: LearnerRecord, learner: Learner, tasks: Sequence[TaskRecord]) -> dict[int, Prediction]:
        """What the learner says of each task that has features."""
        found = self._embedder(record).cached(tasks)
        said = learner.predict(found.inputs(learner.reads)) if found.ids else []
        return dict(zip(found.ids, said, strict=True))

    def _embedder(self, record: LearnerRecord) -> Embedder:
        """One for each control and backbone: opening the features' index takes longer than reading what is wanted."""
        key = (record.control.name, record.backbone.id)
        if key not in self._embedders:
            self._embedders[key] = Embedder(
                self._context, self._project, record.control, record.backbone_spec, record.backbone, known_broken={}
            )
        return self._embedders[key]


def _stability(past: ControlHistory, picks: dict[int, str], labels: int) -> Stability | None:
    """The predictions against those of the newest version before with at least 20 labels less; None without one."""
    far = [one for one in past.snapshots() if labels - one.labels >= STABLE_APART]
    if not far:
        return None
    theirs = past.picks(far[-1])
    both = [task_id for task_id in picks if task_id in theirs]
    return stability_of([theirs[i] for i in both], [picks[i] for i in both], labels - far[-1].labels)


def _spaced(snapshots: Sequence[Snapshot], labels: int) -> tuple[Snapshot, ...]:
    """What later versions may be compared with: the newest that is far enough behind, and some of those since."""
    kept = [one for one in snapshots if labels - one.labels >= STABLE_APART][-1:]
    for one in snapshots:
        if labels - one.labels < STABLE_APART and (not kept or one.labels - kept[-1].labels >= SPACED):
            kept.append(one)
    return tuple(kept)


def _parent_of(versions: Versions, version: Version) -> Version | None:
    try:
        return versions.get(version.parent) if version.parent else None
    except VersionError:  # removed since
        return None


def _sample(book: Book, labelled: Iterable[int]) -> list[TaskRecord]:
    """So many tasks of the pool, by a fixed order of their ids that has nothing to do with that of the queue."""
    pool = book.tasks.keys() - set(labelled)
    return [book.tasks[task_id] for task_id in nsmallest(SAMPLE, pool, key=_scattered)]


def _scattered(task_id: int) -> int:
    """Multiplicative hashing, Knuth (1973): neighbours come to lie far apart."""
    return task_id * 2_654_435_761 % 2**32


def _curve_point(labels: int, metrics: Measured | None) -> CurvePoint | None:
    return CurvePoint(labels, metrics.value, metrics.items) if metrics else None
