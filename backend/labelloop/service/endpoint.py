"""What Label Studio's calls mean, without HTTP. One per process; the FastAPI routes and the Flask entry both go through it."""

from collections.abc import Mapping, Sequence
from typing import Any

from labelloop.errors import LabelloopError, PayloadError
from labelloop.labelstudio import ProjectKey
from labelloop.service.context import Context
from labelloop.service.events import Events
from labelloop.service.live import LiveModel, LiveModels
from labelloop.service.ondemand import OnDemand
from labelloop.service.predicting import Answer, Predictor
from labelloop.service.ticker import Ticker
from labelloop.service.versions import NO_VERSION

HARMLESS = {
    "/validate": "A label config is read when it is used; controls that are not learnt are left alone.",
    "/delete": "Nothing was deleted: versions stay in the store until they are removed there.",
    "/duplicate_model": "Nothing was copied: the new project learns from its own labels.",
}
"""Paths of Label Studio's client that ask for nothing here, with what is said to them."""


class Endpoint:
    """Answers Label Studio.

    `health`, `setup`, `versions` and `metrics` read memory only: no store, no Redis, no Label Studio, no lock, no model.

    Args:
        context: settings and the doors to the store and Label Studio.
    """

    def __init__(self, context: Context) -> None:
        self.settings = context.settings
        self._live = LiveModels(context, lambda project, is_new: self._events.config_changed(project, is_new))
        self._events = Events(context, self._live)
        self._ondemand = OnDemand(context)
        self._predictor = Predictor(context.settings, self._ondemand)
        self._ticker = Ticker(context)

    def start(self) -> None:
        """Begin to watch the store and the clock; returns once the live versions are known, or after a few seconds."""
        self._live.start()
        self._ticker.start()

    def stop(self) -> None:
        """End the background work."""
        self._ticker.stop()
        self._live.stop()
        self._ondemand.stop()

    def health(self) -> dict[str, Any]:
        """That the server is up."""
        return {"status": "UP", "projects": len(self._live.all())}

    def setup(self, project: str | None, label_config: str | None) -> dict[str, Any]:
        """The version predictions are stamped with, never empty; the project is remembered in the background.

        Raises:
            PayloadError: `project` is not a project's key.
        """
        key = ProjectKey.parse(project) if project else None
        if key is not None and label_config:
            self._live.hear(key, label_config)
        return {"model_version": self.model_version(key)}

    def model_version(self, key: ProjectKey | None) -> str:
        """Name of the project's live version, or `NO_VERSION`."""
        model = self._live.of(key)
        return model.version if model else NO_VERSION

    def predict(
        self,
        tasks: Sequence[Mapping[str, Any]],
        project: str | None,
        label_config: str | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> list[Answer]:
        """One item per task, in order: a prediction, or `[]` for a task that cannot be served.

        Args:
            tasks: as Label Studio sends them.
            project: the project's key, `<id>.<created timestamp>`.
            label_config: the config as it is now.
            context: what the annotator has drawn so far; with it the answer goes straight to the screen, so it is always a prediction,
                an empty one where there is nothing to say. A box, a point or a marked stretch of text is answered with what
                the model makes of it, anything else that is drawn or chosen with nothing.
        """
        model = self._model(project)
        result = context.get("result") if context else None
        drawn = [region for region in result if isinstance(region, dict)] if isinstance(result, list) else []
        answers = self._predictor.answer(model, tasks, label_config, drawn) if model else [[] for _ in tasks]
        if context is None:
            return answers
        nothing = {"result": [], "score": 0.0, "model_version": model.version if model else NO_VERSION}
        return [answer or nothing for answer in answers]

    def event(self, payload: object) -> dict[str, Any]:
        """What was done with an event; see `Events.take`."""
        return self._events.take(payload)

    def train(self, project: str | None) -> dict[str, Any]:
        """Ask for a training; Label Studio calls this instead of the event when a feature flag is off.

        Raises:
            PayloadError: no project is named.
        """
        if not project:
            raise PayloadError("A training needs to know the project: send `project` as `<id>.<created timestamp>`.")
        return self._events.train(ProjectKey.parse(project))

    def job_status(self, job: str) -> dict[str, Any]:
        """What became of a training that was asked for."""
        return self._events.job_status(job)

    def versions(self, project: str | None = None) -> dict[str, Any]:
        """Names of the published versions of one project, or of all when none is named."""
        models = [self._model(project)] if project else self._live.all()
        return {"versions": list(dict.fromkeys(name for model in models if model for name in model.versions))}

    def metrics(self) -> dict[str, Any]:
        """The live version of each project."""
        return {"projects": {model.project.slug: {"model_version": model.version} for model in self._live.all()}}

    def _model(self, project: str | None) -> LiveModel | None:
        try:
            return self._live.of(ProjectKey.parse(project)) if project else None
        except LabelloopError:
            return None
