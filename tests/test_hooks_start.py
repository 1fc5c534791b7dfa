"""`label-studio-ml start backend`: the whole of it, as a process."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from labelloop.cli.ports import free_port
from support.redis_process import RedisProcess
from support.serving import CONFIG, KEY, a_context, a_project, publish, tasks, texts, wait_for

REPOSITORY = Path(__file__).parents[1]
AUTH = ("labeller", "password")
EVENT: dict[str, Any] = {
    "action": "ANNOTATION_CREATED",
    "annotation": {"id": 1},
    "project": {"id": 4, "created_at": "2026-11-23T22:18:53.971329Z", "label_config": CONFIG, "token": "secret-token"},
}


class Started:
    """A process of label-studio-ml, with a session that knows the password."""

    def __init__(self, url: str, log: Path, version: str) -> None:
        self.url, self.version, self._log = url, version, log
        self.session = requests.Session()
        self.session.auth = AUTH

    def call(self, method: str, path: str, body: object = None) -> requests.Response:
        return self.session.request(method, self.url + path, json=body, timeout=20)

    def answers(self) -> bool:
        try:
            return self.call("GET", "/health").ok
        except requests.ConnectionError:
            return False

    def log(self) -> str:
        return self._log.read_text()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    folder = tmp_path_factory.mktemp("start")
    redis = RedisProcess(folder / "redis")
    redis.start()
    context = a_context(folder, redis.url)
    version = publish(context, a_project(context)).name
    port = free_port()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY / "backend"),
        "LABELLOOP_DATA_DIR": str(folder),
        "LABEL_STUDIO_URL": context.settings.label_studio_url,
        "REDIS_URL": redis.url,
        "LABELLOOP_BASIC_AUTH": ":".join(AUTH),
    }
    program = shutil.which("label-studio-ml", path=environment["PATH"])
    assert program is not None
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "start", "backend", "--port", str(port), "--log-level", "DEBUG", "--model-dir", "ignored"],
            cwd=REPOSITORY, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    server = Started(f"http://127.0.0.1:{port}", log, version)
    try:
        wait_for(lambda: server.answers() or process.poll() is not None, seconds=60)
        assert process.poll() is None, server.log()
        yield server
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
        redis.stop()


def test_health(started: Started) -> None:
    assert started.call("GET", "/health").json()["status"] == "UP"


def test_setup_answers_the_live_version(started: Started) -> None:
    body = {
        "project": KEY,
        "schema": CONFIG,
        "hostname": "http://x",
        "access_token": "secret-token",
        "extra_params": {},
    }
    assert started.call("POST", "/setup", body).json() == {"model_version": started.version}


def test_predict_needs_no_setup_and_answers_one_item_per_task(started: Started) -> None:
    known = texts(6)
    body = {"tasks": [*tasks([text for text, _ in known]), {"id": 9}], "project": KEY, "label_config": CONFIG}
    results = started.call("POST", "/predict", body | {"params": {"context": None}}).json()["results"]
    assert [result["result"][0]["value"]["choices"][0] for result in results[:-1]] == [label for _, label in known]
    assert results[-1] == []


def test_a_webhook_is_noted(started: Started) -> None:
    assert started.call("POST", "/webhook", EVENT).json()["status"] == "noted"


def test_start_training_is_queued(started: Started) -> None:
    assert started.call("POST", "/webhook", EVENT | {"action": "START_TRAINING"}).json()["job"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/", None),
        ("GET", "/metrics", None),
        ("GET", "/is_training", None),
        ("GET", "/versions", None),
        ("POST", "/versions", {"project": KEY}),
        ("POST", "/train", {"project": KEY, "annotations": []}),
        ("POST", "/validate", {"config": CONFIG}),
        ("POST", "/job_status", {"job": "round-x"}),
        ("POST", "/delete", {"project": KEY}),
        ("POST", "/duplicate_model", {"project_src": KEY, "project_dst": "5.1"}),
    ],
)
def test_the_other_calls_are_answered_with_an_object(started: Started, method: str, path: str, body: object) -> None:
    answer = started.call(method, path, body)
    assert answer.status_code == 200
    assert isinstance(answer.json(), dict)


def test_versions_are_listed(started: Started) -> None:
    assert started.call("GET", "/versions").json() == {"versions": [started.version]}


@pytest.mark.parametrize(
    ("path", "content"),
    [("/predict", b"{"), ("/predict", b'{"tasks": "all"}'), ("/webhook", b"[]"), ("/setup", b'{"project": "odd"}'), ("/nowhere", b"{}")],
)  # fmt: skip
def test_a_malformed_request_is_refused_in_json(started: Started, path: str, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = started.session.post(started.url + path, data=content, headers=headers, timeout=20)
    assert 400 <= answer.status_code < 500
    assert answer.json()["detail"]


def test_without_the_password_every_route_is_closed(started: Started) -> None:
    for method, path in (("GET", "/health"), ("POST", "/webhook"), ("POST", "/predict"), ("GET", "/versions")):
        answer = requests.request(method, started.url + path, timeout=20)
        assert answer.status_code == 401
        assert answer.json()["detail"]


def test_the_log_holds_no_secret_even_when_it_is_verbose(started: Started) -> None:
    started.call("POST", "/webhook", EVENT)
    assert "POST /webhook" in started.log()
    assert "secret-token" not in started.log()


def test_a_wsgi_server_finds_the_app(tmp_path: Path) -> None:
    script = "import _wsgi; print(_wsgi.app.test_client().get('/health').json['status'])"
    environment = os.environ | {"LABELLOOP_DATA_DIR": str(tmp_path), "REDIS_URL": "redis://127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY / "backend", env=environment, capture_output=True, timeout=60
    )
    assert done.stdout.decode().strip() == "UP", done.stderr.decode()
