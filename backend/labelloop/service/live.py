"""What is live, in memory: one immutable snapshot per project, kept fresh by one background thread.

Requests only read; whatever may take time (the store, a new version's weights, remembering a project) happens in the thread.
"""

import copy
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from labelloop.errors import LabelConfigError, LabelloopError
from labelloop.labelstudio import ProjectKey, parse_label_config
from labelloop.learning import Learner
from labelloop.service.context import Context
from labelloop.service.features import Features
from labelloop.service.projects import Project
from labelloop.service.versions import NO_VERSION, LearnerRecord

logger = logging.getLogger(__name__)

REFRESH_EVERY = 0.4
FIRST_LOOK = 5.0


@dataclass(frozen=True, slots=True)
class LiveLearner:
    """A learner ready to predict, with the features the worker has computed.

    Attributes:
        record: what it was trained for, and on which backbone.
        learner: the model.
        features: features of the project's items under that backbone, as of the last refresh.
    """

    record: LearnerRecord
    learner: Learner
    features: Features


@dataclass(frozen=True, slots=True)
class LiveModel:
    """What is live in one project; never changes, so a request that holds it sees one version throughout.

    Attributes:
        project: as last heard of.
        version: name of the live version, or `NO_VERSION`.
        learners: empty before the first trained version.
        versions: names of all published versions, newest first.
    """

    project: Project
    version: str = NO_VERSION
    learners: tuple[LiveLearner, ...] = ()
    versions: tuple[str, ...] = ()


@dataclass(slots=True)
class _Heard:
    """What requests have told of projects, on its way to the store."""

    configs: dict[ProjectKey, str] = field(default_factory=dict)
    pending: dict[ProjectKey, tuple[str, str]] = field(default_factory=dict)


class LiveModels:
    """The live versions of all projects.

    Args:
        context: the store.
        on_change: told of a project that is new, or whose label config now asks for something else, and whether it is new, once
            the store remembers it. Called in the background thread; must not raise.
    """

    def __init__(self, context: Context, on_change: Callable[[Project, bool], None]) -> None:
        self._context = context
        self._on_change = on_change
        self._models: Mapping[ProjectKey, LiveModel] = {}
        self._heard = _Heard()
        self._wake = threading.Event()
        self._looked = threading.Event()
        self._stopped = False
        self._told: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name="labelloop-live", daemon=True)

    def start(self) -> None:
        """Begin to watch the store; waits a few seconds at most for the first look."""
        self._thread.start()
        self._looked.wait(FIRST_LOOK)

    def stop(self) -> None:
        """Stop watching."""
        self._stopped = True
        self._wake.set()
        self._thread.join(timeout=FIRST_LOOK)

    def of(self, key: ProjectKey | None) -> LiveModel | None:
        """The snapshot of a project; None when it is not known. Reads memory only."""
        return self._models.get(key) if key else None

    def all(self) -> list[LiveModel]:
        """The snapshots of all projects. Reads memory only."""
        return list(self._models.values())

    def hear(self, key: ProjectKey, label_config: str, title: str = "") -> bool:
        """Take note of a project and hand it to the background thread; True when its config is not the one last heard of."""
        before = self._heard.configs.get(key)
        if before == label_config:
            return False
        self._heard.pending[key] = (label_config, title)
        self._heard.configs[key] = label_config
        self._wake.set()
        return before is not None

    def refresh(self) -> None:
        """Take up what was heard and published since.

        Raises:
            StoreError: the store cannot be read or written; what was known stays.
        """
        while self._heard.pending:
            self._remember(*self._heard.pending.popitem())
        models = {}
        known = {project.key: project for project in self._context.projects.all()}
        for key in list(self._heard.configs):  # requests add to it meanwhile
            if key not in known and key not in self._heard.pending:  # forgotten; heard of again it is new
                self._heard.configs.pop(key, None)
        for project in known.values():
            if project.key not in self._heard.pending:
                self._heard.configs[project.key] = project.label_config
            models[project.key] = self._model(project, self._models.get(project.key))
        for key in self._models.keys() - models.keys():
            logger.info("Project %d is served no longer", key.id)
        self._models = models

    def _remember(self, key: ProjectKey, heard: tuple[str, str]) -> None:
        try:
            known = self._context.projects.get(key)
            project = self._context.projects.register(key, *heard)
        except LabelloopError:
            self._heard.pending.setdefault(key, heard)
            raise
        if known is None or _asks_differently(known.label_config, project.label_config):
            self._on_change(project, known is None)

    def _model(self, project: Project, known: LiveModel | None) -> LiveModel:
        try:
            name = self._context.versions(project).live_name() or NO_VERSION
            if known is None or known.version != name:
                known = self._load(project, name)
            learners = tuple(
                LiveLearner(live.record, live.learner, _refreshed(live.features)) for live in known.learners
            )
        except LabelloopError as error:
            self._tell_once(project.slug, str(error))
            return known or LiveModel(project)
        except (
            Exception
        ) as error:  # a damaged version or shard of one project must not keep the others from being refreshed
            self._tell_once(project.slug, f"Project {project.slug} cannot be read ({type(error).__name__}: {error}).")
            return known or LiveModel(project)
        self._tell_once(project.slug, "")
        return LiveModel(project, known.version, learners, known.versions)

    def _load(self, project: Project, name: str) -> LiveModel:
        versions = self._context.versions(project)
        names = tuple(version.name for version in versions.all())
        if name == NO_VERSION:
            return LiveModel(project, versions=names)
        version = versions.get(name)
        learners = tuple(
            LiveLearner(record, versions.learner(name, record), self._context.features(project, record.backbone.id))
            for record in version.learnt
        )
        logger.info("Project %d: %s is served here", project.key.id, name)
        return LiveModel(project, name, learners, names)

    def _run(self) -> None:
        while not self._stopped:
            self._wake.clear()
            try:
                self.refresh()
            except LabelloopError as error:
                self._tell_once("", str(error))
            except Exception:
                logger.exception("Refreshing the live versions stumbled; the last ones are served on")
            else:
                self._tell_once("", "")
            self._looked.set()
            self._wake.wait(REFRESH_EVERY)

    def _tell_once(self, about: str, trouble: str) -> None:
        before = self._told.get(about, "")
        self._told[about] = trouble
        if trouble and trouble != before:
            logger.error("%s The versions last seen are served on.", trouble)
        elif before and not trouble:
            logger.info("The store can be read again%s", f" for project {about}" if about else "")


def _asks_differently(before: str, now: str) -> bool:
    """Whether a label config asks for other controls or classes than before; how it is laid out does not matter."""
    try:
        return parse_label_config(before) != parse_label_config(now)
    except LabelConfigError:
        return before != now


def _refreshed(features: Features) -> Features:
    """The same features with what other processes added since; those that requests hold stay as they are."""
    fresh = copy.copy(features)
    fresh.refresh()
    return fresh
