"""Fine-tunes a backbone behind the live version: train, embed every task with it, and only then ask the gate.

Each part gives way to rounds and pushes and goes on later: the training from a checkpoint in the store, the embedding from the
shards that are there.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from redis.exceptions import RedisError
from safetensors import SafetensorError

from labelloop.errors import LabelStudioError, MediaUnavailable, StoreError, VersionError
from labelloop.labelstudio import TaskRecord
from labelloop.learning import BackboneSpec, ResolvedBackbone, resolve_backbone
from labelloop.learning.tuning import TUNERS, Conduct
from labelloop.records import Control, Kind
from labelloop.service.book import read_book
from labelloop.service.context import Context
from labelloop.service.embedding import Embedder
from labelloop.service.marks import Marks
from labelloop.service.projects import Project
from labelloop.service.queueing import enqueue_push
from labelloop.service.releases import backbone_spec, release
from labelloop.service.scene import Scene
from labelloop.service.state import Progress, note_broken
from labelloop.service.store import Store
from labelloop.service.storytelling import note_history
from labelloop.service.tuned import delete_unused, keep_tuned
from labelloop.service.tuning_deaths import MOST_DEATHS, Deaths
from labelloop.service.tuning_due import minutes_of, next_to_tune, why_off
from labelloop.service.tuning_lesson import AWAY_MOST, asks_otherwise, control_of, lesson_of, settle, tasks_are_gone
from labelloop.service.tuning_state import Attempt, TuningState, read_tuning, write_tuning
from labelloop.service.tuning_verdict import judge_tuned
from labelloop.service.versions import LearnerRecord, Version
from labelloop.settings import Settings

logger = logging.getLogger(__name__)

EMBED_SLICE: Final = 256
"""Tasks embedded between two looks at whether something more urgent waits."""
TEMPORARY: Final = (MediaUnavailable, LabelStudioError, StoreError, RedisError, OSError, SafetensorError)
"""What may be mended when it is tried again; after anything else the attempt is given up."""
_CUT_OFF: Final = (
    f"the worker was killed in the middle of it {MOST_DEATHS} times in a row. Perhaps it needs more memory than there is; "
    "give the worker more, or name a smaller network. It is tried again when there are half as many labels more."
)


def tune(context: Context, project: Project, give_way: Callable[[], bool], report: Progress) -> bool:
    """Do as much of a project's fine-tuning as nothing more urgent stands in the way of.

    Args:
        context: the doors.
        project: whose.
        give_way: asked often; True: stop here and go on another time.
        report: told of each step.

    Returns:
        True when there is nothing left to do.

    Raises:
        LabelloopError: it could not be done; unless trying again may help, the attempt is given up and the reason kept.
    """
    if why_off(context.settings):
        return True
    scene = Scene.of(context, project, read_book(context.store, project.folder))
    live = scene.live
    if live is None or live.stage != "trained":
        return True
    work = _Tuning(scene, live, give_way, report)
    try:
        return work.go_on()
    except TEMPORARY:
        raise
    except Exception as error:
        work.end(f"Failed: {error}")
        raise


class _Tuning:
    """One fine-tuning of one project.

    Args:
        scene: the project.
        live: its live version.
        give_way: asked often.
        report: told of each step.
    """

    def __init__(self, scene: Scene, live: Version, give_way: Callable[[], bool], report: Progress) -> None:
        self._scene = scene
        self._live = live
        self._context = scene.context
        self._project = scene.project
        self._give_way = give_way
        self._report = report
        self._state = read_tuning(self._context.store, self._project.folder)
        self._deaths = Deaths(self._context.store, self._project.folder)
        self._away: dict[int, str] = {}
        self._keeper = _StoreKeeper(self._context.store, self._project.folder, self._deaths.survived)

    def go_on(self) -> bool:
        """Begin, or go on; True when nothing is left to do."""
        attempt = self._state.attempt or self._begin()
        if attempt is None:
            return True
        try:
            return self._advance(attempt) if self._deaths.begin() else self.end(f"Given up: {_CUT_OFF}")
        finally:
            self._deaths.survived()

    def _advance(self, attempt: Attempt) -> bool:
        """Do the next part of it; True when nothing is left to do."""
        control = control_of(self._scene, attempt)
        if control is None:
            return self._over(self._state.anew("Given up: the label config has changed."))
        if asks_otherwise(self._scene, attempt, control):
            return self._over(self._state.anew("Begins anew: another backbone is set."))
        if tasks_are_gone(self._scene, attempt):
            return self._over(self._state.anew("Begins anew: tasks that it learnt from were deleted."))
        if attempt.backbone is None and not self._train(attempt, control):
            return self._state.attempt is None
        trained = self._state.attempt
        if trained is None or trained.backbone is None:
            return True
        if any(learner.backbone.id == trained.backbone.id for learner in self._live.learners):
            return self._published(self._live, trained)  # and what did it was killed right afterwards
        record = _tuned_record(backbone_spec(self._context.settings, control), control, trained.backbone)
        if not self._embed(self._scene.embedder(record), list(self._scene.book.tasks.values())) or self._give_way():
            return False
        self._wait_for_media(control)
        return self._publish(trained, record)

    def end(self, outcome: str) -> bool:
        """The attempt is over; remember what came of it, and clear up."""
        return self._over(self._state.over(outcome))

    def _over(self, state: TuningState) -> bool:
        logger.info("Project %d: fine-tuning: %s", self._project.key.id, state.outcome)
        self._note(state)
        self._keeper.clear()
        delete_unused(self._context, self._project)
        return True

    def _begin(self) -> Attempt | None:
        record = next_to_tune(self._context, self._project, self._live, self._state)
        attempt = settle(self._scene, record) if record else None
        if record is not None and attempt is not None:
            labels = len(self._scene.labelled[record.control.name].targets)
            said = f"Learns {attempt.control!r} from {len(attempt.labels)} labels."
            self._note(TuningState(self._state.tried | {attempt.control: labels}, attempt, said))
        return attempt

    def _train(self, attempt: Attempt, control: Control) -> bool:
        """Fine-tune, or some of it; True when there is a backbone to go on with."""
        settings, tuner = self._context.settings, TUNERS[control.kind]
        spec = backbone_spec(settings, control)
        embedder = self._scene.embedder(_record(spec, control, resolve_backbone(spec)))
        tasks = [self._scene.book.tasks[task_id] for task_id in attempt.labels]
        if not self._embed(embedder, tasks):
            return False
        with TemporaryDirectory() as folder:
            tuned = tuner.fine_tune(
                spec,
                lesson_of(self._scene, attempt, control, embedder.cached(tasks)),
                Path(folder),
                tuner.asked_for(
                    settings.fine_tune_method, _network_of(settings, control), seconds=60 * minutes_of(settings)
                ),
                Conduct(self._keeper, self._give_way, lambda done, planned: self._report("fine-tune", done, planned)),
            )
            if tuned is None:
                return False
            if tuned.best == 0:
                self.end(f"Refused before the gate, as nothing was gained. {tuned}")
                return False
            kept = keep_tuned(self._context.store, self._project, tuned)
        trained = replace(attempt, backbone=kept, summary=str(tuned))
        self._note(TuningState(self._state.tried, trained, f"Embeds every task anew. {tuned}"))
        self._keeper.clear()
        return True

    def _publish(self, attempt: Attempt, record: LearnerRecord) -> bool:
        """Ask the gate; publish or refuse. False when another version went live meanwhile, with which to compare again."""
        verdict = judge_tuned(self._scene, attempt, record, self._report)
        if not verdict.candidates:
            return self.end(f"Refused: {verdict.reason} {attempt.summary}")
        versions, settings = self._context.versions(self._project), self._context.settings
        try:
            version = release(versions, self._live, verdict.candidates, self._scene.config.controls, settings)
        except VersionError as error:
            logger.info("Project %d: %s", self._project.key.id, error)
            return False
        note_history(self._context, self._project, self._scene.book, version, verdict.candidates, self._scene.labelled)
        return self._published(version, attempt)

    def _published(self, version: Version, attempt: Attempt) -> bool:
        # Noted too: a push of the version before may be at its end, and counts as the one push a project may have.
        Marks(self._context.redis, self._project.slug).want_push()
        enqueue_push(self._context.redis, self._project.slug, self._context.settings)
        return self.end(f"Published {version.name}. {version.reason} {attempt.summary}")

    def _embed(self, embedder: Embedder, tasks: Sequence[TaskRecord]) -> bool:
        """Embed what has no features yet, a slice at a time; False when it had to give way."""
        lacking, self._away = embedder.lacking(tasks), {}
        for start in range(0, len(lacking), EMBED_SLICE):
            if self._give_way():
                return False
            self._report("embed", start, len(lacking))
            embedded = embedder.embed(lacking[start : start + EMBED_SLICE], _silent)
            if embedded.ids:
                self._deaths.survived()
            self._away |= embedded.unavailable
            self._scene.broken.update(embedded.broken)
            note_broken(self._context, self._project, embedded.broken, self._scene.book.tasks)
        return True

    def _wait_for_media(self, control: Control) -> None:
        """Go live only with what has features of about as many tasks as the live version has.

        Raises:
            MediaUnavailable: of more of them the media are away.
        """
        tasks = [self._scene.book.tasks[task_id] for task_id in self._away]
        live = (record for record in self._live.learners if record.control.name == control.name)
        lost = max((len(tasks) - len(self._scene.embedder(record).lacking(tasks)) for record in live), default=0)
        if lost > AWAY_MOST * len(self._scene.book.tasks):
            raise MediaUnavailable(next(iter(self._away.values())))

    def _note(self, state: TuningState) -> None:
        self._state = state
        write_tuning(self._context.store, self._project.folder, state)


class _StoreKeeper:
    """Keeps a checkpoint in the store, where any worker finds it.

    Args:
        store: the store.
        folder: the project's.
        on_kept: told of each one that is kept.
    """

    def __init__(self, store: Store, folder: str, on_kept: Callable[[], None]) -> None:
        self._store = store
        self._path = f"{folder}/tuning-checkpoint.safetensors"
        self._on_kept = on_kept

    def write(self, data: bytes) -> None:
        self._store.write(self._path, data)
        self._on_kept()

    def read(self) -> bytes | None:
        return self._store.read(self._path)

    def clear(self) -> None:
        self._store.delete(self._path)


def _network_of(settings: Settings, control: Control) -> str:
    """The network that the settings name for a control; empty: the usual one."""
    return {Kind.BOXES: settings.image_detector, Kind.MASKS: settings.image_segmenter}.get(control.kind, "")


def _record(spec: BackboneSpec, control: Control, backbone: ResolvedBackbone) -> LearnerRecord:
    return LearnerRecord(control, control.labels, "", spec, backbone)


def _tuned_record(spec: BackboneSpec, control: Control, backbone: ResolvedBackbone) -> LearnerRecord:
    """What is tuned tells of the parts that its tuner names."""
    return _record(replace(spec, parts=TUNERS[control.kind].parts), control, backbone)


def _silent(step: str, done: int, total: int) -> None:
    return
