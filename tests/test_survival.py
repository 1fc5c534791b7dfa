"""Whatever dies, breaks or answers late: in the end the live version knows every label and its scores order the queue."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from redis.exceptions import ConnectionError as RedisGone

from labelloop.errors import LabelloopError
from labelloop.learning import ClassificationLearner
from labelloop.service.context import Context
from labelloop.service.projects import Project
from labelloop.service.state import read_progress, read_state
from support.annotating import Job, explain, scores_of, text_job, wait_until_settled
from support.faulty_proxy import FaultyProxy
from support.loop_process import LoopProcesses, label_studio_of, until
from support.redis_process import RedisProcess
from support.studio_process import StudioProcess

pytestmark = [pytest.mark.studio, pytest.mark.slow]


class Scene:
    """A running loop behind a proxy that can fail, with one project whose queue is ordered."""

    def __init__(self, loop: LoopProcesses, proxy: FaultyProxy, job: Job) -> None:
        self.loop, self.proxy, self.job = loop, proxy, job
        self.context: Context = loop.context()
        self.project: Project = loop.connect(job.project_id)
        until(self._ordered, 60, lambda: f"the queue has an order\n{loop.logs()}")

    def _ordered(self) -> bool:
        live = self.context.versions(self.project).live_name()
        return live is not None and self.job.label_studio.project(self.job.project_id)["model_version"] == live

    def label(self, count: int) -> None:
        for task_id in self.job.unlabelled()[:count]:
            self.job.answer(task_id)

    def wait_for_step(self, step: str) -> None:
        def reached() -> bool:
            progress = read_progress(self.context.redis, self.project.slug)
            return progress is not None and progress["step"] == step

        until(reached, 30, f"the worker reaches {step!r}", every=0.002)

    def settle(self, seconds: float = 90) -> str:
        try:
            return wait_until_settled(self.job, self.context, self.project, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.loop.logs()}") from error

    def error(self) -> str:
        return read_state(self.context.store, self.project.folder).error


@pytest.fixture
def scene(studio: StudioProcess, redis_server: RedisProcess, tmp_path: Path) -> Iterator[Scene]:
    proxy = FaultyProxy(studio.url)
    loop = LoopProcesses(tmp_path, proxy.url, studio.api_key, redis_server.url, {"LABELLOOP_REQUEST_TIMEOUT": "5"})
    loop.start()
    try:
        yield Scene(loop, proxy, text_job(label_studio_of(studio), 60))
    finally:
        loop.stop()
        proxy.close()


@contextmanager
def watched(context: Context, project: Project) -> Iterator[None]:
    """Reads the live version without a pause; a version that is half there at any moment fails the test."""
    stop, faults = threading.Event(), []
    versions = context.versions(project)

    def watch() -> None:
        while not stop.is_set():
            try:
                live = versions.live()
                for record in live.learners if live and live.stage == "trained" else ():
                    arrays = versions.arrays(live.name, record.control.name) if live else {}
                    ClassificationLearner.from_arrays(arrays, record.meta)
            except (LabelloopError, KeyError, ValueError) as error:
                faults.append(repr(error))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert faults == []


@pytest.mark.parametrize("step", ["sync", "train"])
def test_a_worker_killed_in_a_training_loses_nothing(scene: Scene, step: str) -> None:
    with watched(scene.context, scene.project):
        scene.label(8)
        scene.wait_for_step(step)
        scene.loop.workers[-1].kill()
        scene.loop.start_worker()
        scene.settle()


def test_a_worker_killed_in_a_push_writes_no_score_twice(scene: Scene) -> None:
    with watched(scene.context, scene.project), scene.proxy.failing(delay=1.0, only="/import/predictions"):
        scene.label(8)
        scene.wait_for_step("push")
        time.sleep(0.5)
        scene.loop.workers[-1].kill()
        scene.loop.start_worker()
        live = scene.settle()
    assert {len(found) for found in scores_of(scene.job, live).values()} == {1}


def test_a_server_killed_in_a_predict_comes_back(scene: Scene) -> None:
    scene.label(8)
    scene.settle()
    tasks = list(scene.job.label_studio.tasks(scene.job.project_id)) * 12
    body = {
        "tasks": tasks,
        "project": str(scene.project.key),
        "label_config": scene.job.label_studio.project(scene.job.project_id)["label_config"],
        "params": {"context": None},
    }
    asking = threading.Thread(target=lambda: _post(f"{scene.loop.url}/predict", body))
    asking.start()
    time.sleep(0.05)
    scene.loop.servers[-1].kill()
    asking.join()
    scene.loop.start_server()
    answer = until(lambda: _post(f"{scene.loop.url}/predict", body), 20, "an answer")
    assert len(answer["results"]) == len(tasks)
    scene.label(8)
    scene.settle()


def _post(url: str, body: dict[str, object]) -> dict[str, list[object]] | None:
    try:
        answer = requests.post(url, json=body, timeout=30)
    except requests.RequestException:
        return None
    found: dict[str, list[object]] = answer.json()
    return found


def test_a_flushed_redis_loses_nothing(scene: Scene, redis_server: RedisProcess) -> None:
    scene.label(4)
    redis_server.flush()
    scene.label(4)
    redis_server.flush()
    scene.settle()


def test_a_redis_that_dies_and_comes_back_loses_nothing(scene: Scene, redis_server: RedisProcess) -> None:
    scene.label(4)
    redis_server.kill()
    scene.label(5)
    time.sleep(1)
    with pytest.raises(RedisGone):
        scene.context.redis.ping()
    redis_server.start()
    redis_server.flush()
    scene.settle()


@pytest.mark.parametrize("status", [500, 401], ids=["failing", "refusing"])
def test_label_studio_that_answers_with_an_error_is_asked_again(scene: Scene, status: int) -> None:
    with scene.proxy.failing(status=status):
        scene.label(8)
        until(lambda: scene.error(), 60, "the error is in the status")
        assert str(status) in scene.error() or "token" in scene.error()
    scene.settle()
    until(lambda: not scene.error(), 60, lambda: f"the error is gone when the push has ended: {scene.error()!r}")


def test_a_slow_label_studio_only_delays(scene: Scene) -> None:
    with scene.proxy.failing(delay=0.8):
        scene.label(8)
        scene.settle(120)


def test_label_studio_stopped_and_started_again(scene: Scene, studio: StudioProcess) -> None:
    scene.label(8)
    studio.stop()
    until(lambda: scene.error(), 90, "the error is in the status")
    studio.start()
    scene.settle(120)


def test_a_full_store_is_reported_and_mended(scene: Scene) -> None:
    with watched(scene.context, scene.project):
        scene.loop.workers[-1].stop()
        # Python would cut compiled modules off there, too, and leave them so for all who come after.
        limited = scene.loop.start_worker("export PYTHONDONTWRITEBYTECODE=1 && ulimit -f 8")
        scene.label(8)
        until(lambda: "File too large" in scene.error(), 60, lambda: f"the error is in the status: {scene.error()!r}")
        limited.stop()
        scene.loop.start_worker()
        scene.settle()


def test_a_store_that_cannot_be_written_is_in_the_log_and_mended(scene: Scene) -> None:
    store = scene.context.settings.store_location
    with watched(scene.context, scene.project):
        scene.loop.workers[-1].stop()
        helpless = scene.loop.start_worker(f"mount --bind {store} {store} && mount -o remount,bind,ro {store}")
        scene.label(8)
        until(lambda: "Read-only file system" in helpless.output(), 60, lambda: f"the log says so: {helpless.output()}")
        helpless.stop()
        scene.loop.start_worker()
        scene.settle()


def test_two_servers_and_two_workers_share_one_store(scene: Scene) -> None:
    other = text_job(scene.job.label_studio, 45, title="more texts")
    scene.loop.start_worker()
    second = scene.loop.port + 1
    scene.loop.start_server(second)
    other_project = scene.loop.connect(other.project_id)
    with watched(scene.context, scene.project), watched(scene.context, other_project):
        for _ in range(4):
            scene.label(4)
            for task_id in other.unlabelled()[:4]:
                other.answer(task_id)
        live = scene.settle()
        wait_until_settled(other, scene.context, other_project)
    assert explain(scene.job, scene.context, scene.project) == ""

    def both_answer() -> bool:
        body = {"project": str(scene.project.key), "schema": scene.project.label_config}
        urls = [f"http://127.0.0.1:{port}/setup" for port in (scene.loop.port, second)]
        return [requests.post(url, json=body, timeout=5).json()["model_version"] for url in urls] == [live, live]

    until(both_answer, 2, "both servers answer with the live version")
