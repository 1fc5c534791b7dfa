"""A store with a project and real versions in it, and the server on top."""

import base64
import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI
from PIL import Image

from labelloop.labelstudio import ProjectKey, parse_label_config
from labelloop.learning import BackboneSpec, ClassificationLearner, load_backbone, resolve_backbone
from labelloop.records import ClassTarget, Control, Modality
from labelloop.service.context import Context, open_context
from labelloop.service.features import content_key, item_key
from labelloop.service.projects import Project
from labelloop.service.publisher import push_part
from labelloop.service.versions import LearnerRecord, Version
from labelloop.settings import load_settings

KEY = "4.1795472333"
CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t">'
    '<Choice value="fruit"/><Choice value="metal"/><Choice value="bird"/></Choices></View>'
)
IMAGE_CONFIG = CONFIG.replace("<Text ", "<Image ").replace("$text", "$image")
WORDS = {"fruit": "sweet ripe apple pear orchard", "metal": "iron steel ore furnace rust"}


def a_context(folder: Path, redis_url: str, **settings: Any) -> Context:
    given = {"data_dir": folder, "redis_url": redis_url, "label_studio_url": "http://127.0.0.1:9", "offline": True}
    return open_context(load_settings(**(given | settings)))


def a_project(context: Context, config: str = CONFIG, key: str = KEY) -> Project:
    return context.projects.register(ProjectKey.parse(key), config, "A project")


def push_all(context: Context, project: Project) -> set[int]:
    """Push until nothing more can be done, as a worker does; the tasks that could not be had."""
    unavailable: set[int] = set()
    while push_part(context, project, lambda *_: None, unavailable, lambda: False):
        pass
    return unavailable


def texts(count: int) -> list[tuple[str, str]]:
    """(text, class) of so many distinct texts of two classes; nobody has labelled a third."""
    return [(f"{WORDS[label]} number {n}", label) for n in range(count) for label in [list(WORDS)[n % 2]]]


def images(count: int) -> list[tuple[str, str]]:
    """(data URI of a PNG, class) of so many distinct images of two classes, red and blue."""
    return [(data_uri(n), list(WORDS)[n % 2]) for n in range(count)]


def data_uri(number: int) -> str:
    colour = (255 - number, 0, 0) if number % 2 == 0 else (0, 0, 255 - number)
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def tasks(values: Sequence[object], key: str = "text") -> list[dict[str, Any]]:
    return [{"id": n + 1, "data": {key: value}, "annotations": [], "predictions": []} for n, value in enumerate(values)]


def publish(context: Context, project: Project, *, cached: int = 40, stage: str = "trained") -> Version:
    """A version as the worker publishes it, with the features of the first `cached` texts or images in the store."""
    control = parse_label_config(project.label_config).controls[0]
    versions = context.versions(project)
    name, number = versions.next_name(stage)
    record, learner = _trained(context, project, control, cached) if stage == "trained" else (_record(control), None)
    version = Version(name, number, "2026-11-24T00:00:00+00:00", stage, None, "margin", (record,))
    versions.publish(version, {control.name: learner} if learner else {}, {})
    return version


def _record(control: Control, **more: Any) -> LearnerRecord:
    spec = BackboneSpec(control.modality, "plain")
    return LearnerRecord(control, control.labels, more.pop("kind", ""), spec, resolve_backbone(spec), **more)


def _trained(
    context: Context, project: Project, control: Control, cached: int
) -> tuple[LearnerRecord, ClassificationLearner]:
    known = texts(cached) if control.modality is Modality.TEXT else images(cached)
    record = _record(control)
    media: Any = [_media(value) for value, _ in known]
    matrix = np.asarray(load_backbone(record.backbone_spec, record.backbone).embed(media), dtype=np.float32)
    features = context.features(project, record.backbone.id)
    keys = [item_key(control.modality, value) for value, _ in known]
    _, found = features.get(keys)
    new = [place for place, here in enumerate(found) if not here]
    features.add([keys[place] for place in new], [content_key(media[place]) for place in new], matrix[new])
    learner = ClassificationLearner.fit(matrix, [ClassTarget(label) for _, label in known], control.labels)
    return _record(control, kind=learner.kind, meta=learner.meta()), learner


def _media(value: str) -> str | bytes:
    return base64.b64decode(value.partition(",")[2]) if value.startswith("data:") else value


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
