"""How long each of Label Studio's calls takes while a training keeps every processor busy, and what an idle server weighs.

A real server process, Redis and store with a real version; Label Studio is not needed, so this measures the server alone.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import requests

from benchmarks.figures import milliseconds
from benchmarks.http import resident_megabytes
from benchmarks.whole import wait_for
from labelloop.cli.child import Child, Program
from labelloop.cli.ports import free_port
from labelloop.labelstudio import ProjectKey, parse_label_config
from labelloop.learning import BackboneSpec, ClassificationLearner, load_backbone, resolve_backbone
from labelloop.records import ClassTarget, Modality
from labelloop.service.context import Context, open_context
from labelloop.service.features import content_key, item_key
from labelloop.service.redis_server import redis_command
from labelloop.service.versions import LearnerRecord, Version
from labelloop.settings import load_settings

CALLS = 1000
TASKS = 2000
CREATED_AT, KEY = "2026-11-23T22:18:53.971329Z", "4.1795472333"
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="kind" toName="text">'
    '<Choice value="even"/><Choice value="odd"/></Choices></View>'
)
TEXTS = [f"{'red apple' if number % 2 else 'iron ore'} {number}" for number in range(TASKS)]
Call = tuple[str, str, dict[str, Any] | None]


def run() -> dict[str, Any]:
    """The same calls at rest and under load."""
    with tempfile.TemporaryDirectory(prefix="labelloop-") as name:
        folder = Path(name)
        redis = Child(Program("redis", redis_command(folder / "redis", folder / "redis.sock"), folder / "redis.log"))
        redis.start()
        try:
            _publish(open_context(load_settings(data_dir=folder, redis_url=f"unix://{folder / 'redis.sock'}")))
            with _server(folder) as (url, pid):
                idle = resident_megabytes(pid)
                at_rest = {name: milliseconds(_timed(url, calls)) for name, calls in _calls().items()}
                with _training():
                    under_load = {name: milliseconds(_timed(url, calls)) for name, calls in _calls().items()}
                return {
                    "at_rest": at_rest,
                    "while_training": under_load,
                    "server_megabytes_idle": idle,
                    "server_megabytes_after": resident_megabytes(pid),
                }
        finally:
            redis.stop()


def _publish(context: Context) -> None:
    """A project with a trained version and the features of all its texts."""
    project = context.projects.register(ProjectKey.parse(KEY), CONFIG, "A project")
    (control,) = parse_label_config(CONFIG).controls
    spec = BackboneSpec(Modality.TEXT, "plain")
    backbone = resolve_backbone(spec)
    matrix = np.asarray(load_backbone(spec, backbone).embed(TEXTS), dtype=np.float32)
    keys = [item_key(Modality.TEXT, text) for text in TEXTS]
    context.features(project, backbone.id).add(keys, [content_key(text) for text in TEXTS], matrix)
    targets = [ClassTarget(control.labels[number % 2]) for number in range(200)]
    learner = ClassificationLearner.fit(matrix[:200], targets, control.labels)
    record = LearnerRecord(control, control.labels, learner.kind, spec, backbone, learner.meta())
    versions = context.versions(project)
    name, number = versions.next_name("trained")
    version = Version(name, number, CREATED_AT, "trained", None, "margin", (record,))
    versions.publish(version, {control.name: learner}, {})


def _calls() -> dict[str, Iterator[Call]]:
    """What is sent, as Label Studio sends it."""
    event = {
        "action": "ANNOTATION_CREATED",
        "annotation": {"id": 1, "result": [{"from_name": "kind"}], "was_cancelled": False},
        "project": {"id": 4, "created_at": CREATED_AT, "label_config": CONFIG, "title": "A project"},
    }
    predictions: list[Call] = [
        ("POST", "/predict", {"tasks": [{"id": 1, "data": {"text": text}}], "project": KEY, "label_config": CONFIG})
        for text in TEXTS
    ]
    return {
        "health": cycle([("GET", "/health", None)]),
        "setup": cycle([("POST", "/setup", {"project": KEY, "schema": CONFIG})]),
        "webhook": cycle([("POST", "/webhook", event)]),
        "predict_one": cycle(predictions),
    }


def _timed(url: str, calls: Iterator[Call]) -> list[float]:
    """Seconds of each call, one after the other, on a connection of its own as Label Studio's webhooks are."""
    took = []
    for method, path, body in islice(calls, CALLS):
        started = time.perf_counter()
        answer = requests.request(method, url + path, json=body, timeout=30)
        took.append(time.perf_counter() - started)
        if not answer.ok or answer.json().get("results") == [[]]:
            raise RuntimeError(f"{path} answered {answer.status_code}: {answer.text[:200]}")
    return took


@contextmanager
def _server(folder: Path) -> Iterator[tuple[str, int]]:
    port = free_port()
    environment = os.environ | {"LABELLOOP_DATA_DIR": str(folder), "LABELLOOP_PORT": str(port)}
    environment["REDIS_URL"] = f"unix://{folder / 'redis.sock'}"
    process = subprocess.Popen(
        [sys.executable, "-m", "labelloop.cli", "serve"], env=environment, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(_knows_the_version(url), "the server")
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(20)


def _knows_the_version(url: str) -> Callable[[], bool]:
    def knows() -> bool:
        try:
            answer = requests.post(f"{url}/setup", json={"project": KEY}, timeout=5).json()
        except requests.ConnectionError:
            return False
        return bool(answer["model_version"] != "untrained")

    return knows


@contextmanager
def _training() -> Iterator[None]:
    """Another process that does nothing but train, as a worker does."""
    process = multiprocessing.get_context("spawn").Process(target=_train_on_and_on, daemon=True)
    process.start()
    time.sleep(5)  # imports are not what is measured
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _train_on_and_on() -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(5000, 576)).astype(np.float32)
    classes = [f"class {number}" for number in range(10)]
    targets = [ClassTarget(str(label)) for label in draw.choice(classes, size=5000)]
    while True:
        ClassificationLearner.fit(features, targets, classes)
