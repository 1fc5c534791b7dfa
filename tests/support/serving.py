"""A store with a project and real versions in it, and the server on top."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from labelloop.labelstudio import ProjectKey, parse_label_config
from labelloop.learning import BackboneSpec, ClassificationLearner, load_backbone, resolve_backbone
from labelloop.records import ClassTarget, Control, Modality
from labelloop.service.context import Context, open_context
from labelloop.service.features import content_key, item_key
from labelloop.service.projects import Project
from labelloop.service.versions import LearnerRecord, Version
from labelloop.settings import load_settings

KEY = "4.1795472333"
CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t">'
    '<Choice value="fruit"/><Choice value="metal"/><Choice value="bird"/></Choices></View>'
)
WORDS = {"fruit": "sweet ripe apple pear orchard", "metal": "iron steel ore furnace rust"}


def a_context(folder: Path, redis_url: str, **settings: Any) -> Context:
    given = {"data_dir": folder, "redis_url": redis_url, "label_studio_url": "http://127.0.0.1:9", "offline": True}
    return open_context(load_settings(**(given | settings)))


def a_project(context: Context, config: str = CONFIG, key: str = KEY) -> Project:
    return context.projects.register(ProjectKey.parse(key), config, "A project")


def texts(count: int) -> list[tuple[str, str]]:
    """(text, class) of so many distinct texts of two classes; nobody has labelled a third."""
    return [(f"{WORDS[label]} number {n}", label) for n in range(count) for label in [list(WORDS)[n % 2]]]


def tasks(values: Sequence[object]) -> list[dict[str, Any]]:
    return [
        {"id": n + 1, "data": {"text": value}, "annotations": [], "predictions": []} for n, value in enumerate(values)
    ]


def publish(context: Context, project: Project, *, cached: int = 40, stage: str = "trained") -> Version:
    """A version as the worker publishes it, with the features of the first `cached` texts in the store."""
    control = parse_label_config(project.label_config).controls[0]
    versions = context.versions(project)
    name, number = versions.next_name(stage)
    record, learner = _trained(context, project, control, cached) if stage == "trained" else (_record(control), None)
    version = Version(name, number, "2026-11-24T00:00:00+00:00", stage, None, "margin", (record,))
    versions.publish(version, {control.name: learner} if learner else {}, {})
    return version


def _record(control: Control, **more: Any) -> LearnerRecord:
    spec = BackboneSpec(Modality.TEXT, "plain")
    return LearnerRecord(control, control.labels, more.pop("kind", ""), spec, resolve_backbone(spec), **more)


def _trained(
    context: Context, project: Project, control: Control, cached: int
) -> tuple[LearnerRecord, ClassificationLearner]:
    known = texts(cached)
    record = _record(control)
    matrix = load_backbone(record.backbone_spec, record.backbone).embed([text for text, _ in known])
    features = context.features(project, record.backbone.id)
    keys = [item_key(Modality.TEXT, text) for text, _ in known]
    _, found = features.get(keys)
    features.add(
        [key for key, here in zip(keys, found, strict=True) if not here],
        [content_key(text) for (text, _), here in zip(known, found, strict=True) if not here],
        matrix[~found],
    )
    learner = ClassificationLearner.fit(matrix, [ClassTarget(label) for _, label in known], control.labels)
    return _record(control, kind=learner.kind, meta=learner.meta()), learner


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The app on a real server in this process; gives its address."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def wait_for(happened: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
