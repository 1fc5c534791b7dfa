"""Passwords, sizes, logs, failures and speed at the edge of the server."""

import base64
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from fastapi.testclient import TestClient

from labelloop.hooks import LabelLoop
from labelloop.service import app, edge
from labelloop.service.app import create_app
from labelloop.service.context import Context
from labelloop.service.endpoint import Endpoint
from labelloop.service.ondemand import OnDemand
from labelloop.service.store import Store
from support.redis_process import RedisProcess
from support.serving import CONFIG, KEY, a_context, a_project, publish, served, tasks

PASSWORD = "labeller:pässword:with colons"


@pytest.fixture
def context(tmp_path: Path, redis_server: RedisProcess) -> Context:
    return a_context(tmp_path, redis_server.url)


@pytest.fixture
def locked(tmp_path: Path, redis_server: RedisProcess) -> Iterator[TestClient]:
    context = a_context(tmp_path, redis_server.url, basic_auth=PASSWORD)
    with TestClient(create_app(context, LabelLoop), raise_server_exceptions=False) as client:
        yield client


def basic(credentials: bytes, scheme: str = "Basic") -> dict[str, str]:
    return {"Authorization": f"{scheme} {base64.b64encode(credentials).decode()}"}


def all_paths(client: TestClient) -> list[tuple[str, str]]:
    paths = client.get("/openapi.json", headers=basic(PASSWORD.encode())).json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def test_every_route_asks_for_the_password(locked: TestClient) -> None:
    routes = all_paths(locked)
    assert len(routes) > 10
    for method, path in [*routes, ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/nowhere")]:
        answer = locked.request(method, path, json={} if method == "POST" else None)
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
        assert "password" in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Token " + base64.b64encode(PASSWORD.encode()).decode()},
        basic(b"labeller:"),
        basic(b"labeller:p?ssword:with colons"),
        basic(PASSWORD.encode() + b"x"),
        basic(b":"),
    ],
)
def test_a_wrong_password_is_refused(locked: TestClient, headers: dict[str, str]) -> None:
    assert locked.get("/health", headers=headers).status_code == 401


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("scheme", ["Basic", "basic"])
def test_the_right_password_lets_in(locked: TestClient, encoding: str, scheme: str) -> None:
    assert locked.get("/health", headers=basic(PASSWORD.encode(encoding), scheme)).status_code == 200


def test_a_password_that_latin_1_cannot_write_has_no_second_form(tmp_path: Path, redis_server: RedisProcess) -> None:
    context = a_context(tmp_path, redis_server.url, basic_auth="labeller:пароль")
    with TestClient(create_app(context, LabelLoop)) as client:
        assert client.get("/health", headers=basic("labeller:пароль".encode())).status_code == 200
        assert client.get("/health", headers=basic(b"labeller:??????")).status_code == 401


def test_without_a_password_everybody_is_let_in(context: Context) -> None:
    with TestClient(create_app(context, LabelLoop)) as client:
        assert client.get("/health", headers=basic(b"any:body")).status_code == 200


def test_a_body_over_the_limit_is_refused_announced_or_not(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.BodyLimit.__init__, "__defaults__", (1000,))
    with TestClient(create_app(context, LabelLoop), raise_server_exceptions=False) as client:
        body = b'{"action": "' + b"x" * 2000 + b'"}'
        headers = {"Content-Type": "application/json"}
        for content in (body, iter([body[:500], body[500:]])):
            answer = client.post("/webhook", content=content, headers=headers)
            assert answer.status_code == 413
            assert "larger" in answer.json()["detail"]
        assert client.post("/webhook", json={"action": "x"}).status_code == 200


def test_the_log_has_a_line_per_request_and_no_secret(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret: dict[str, Any] = {
        "project": KEY,
        "schema": CONFIG,
        "access_token": "secret-1",
        "tasks": tasks(["apple"]),
        "params": {"login": "secret-2", "password": "secret-3"},
    }
    project = {
        "id": 4,
        "created_at": "2026-11-23T22:18:53.971329Z",
        "token": "secret-4",
        "task_data_password": "secret-5",
    }
    with TestClient(create_app(context, LabelLoop)) as client:
        client.post("/setup?token=secret-6", json=secret, headers=basic(b"secret-7:x"))
        client.post("/predict", json=secret)
        for action in ("ANNOTATION_CREATED", "START_TRAINING", "PROJECT_UPDATED"):
            client.post("/webhook", json={"action": action, "project": project, "annotation": {}})
    lines = [record.getMessage() for record in caplog.records if record.name == edge.__name__]
    assert any(line.startswith("POST /setup 200 in ") for line in lines)
    assert len(lines) == 5
    assert "secret" not in "\n".join(
        str(vars(record)) for record in caplog.records if record.name.startswith("labelloop")
    )


def test_a_fault_of_ours_is_json_and_in_the_log(
    context: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Endpoint) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Endpoint, "metrics", fail)
    with TestClient(create_app(context, LabelLoop), raise_server_exceptions=False) as client:
        answer = client.get("/metrics")
    assert answer.status_code == 500
    assert "RuntimeError" in answer.json()["detail"]
    assert "secret" not in answer.text


def test_a_prediction_that_never_ends_is_answered_with_nothing(
    tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = a_context(tmp_path, redis_server.url, predict_deadline=0.1)
    released = threading.Event()
    monkeypatch.setattr(app, "PREDICT_GRACE", 0.2)
    monkeypatch.setattr(Endpoint, "predict", lambda *_: released.wait(20))
    with TestClient(create_app(context, LabelLoop)) as client:
        started = time.monotonic()
        assert client.post("/predict", json={"tasks": tasks(["a", "b"]), "project": KEY}).json() == {
            "results": [[], []]
        }
        assert time.monotonic() - started < 2.0
        released.set()


def test_a_webhook_that_hangs_is_answered_within_label_studios_second(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert app.WEBHOOK_LIMIT < 1.0
    monkeypatch.setattr(app, "WEBHOOK_LIMIT", 0.2)
    released = threading.Event()
    monkeypatch.setattr(Endpoint, "event", lambda *_: released.wait(20))
    with TestClient(create_app(context, LabelLoop)) as client:
        started = time.monotonic()
        assert client.post("/webhook", json={"action": "ANNOTATION_CREATED"}).json()["status"] == "not noted"
        assert time.monotonic() - started < 1.0
        released.set()


def test_two_apps_in_one_process_share_nothing(tmp_path: Path, redis_server: RedisProcess) -> None:
    trained, empty = a_context(tmp_path / "a", redis_server.url), a_context(tmp_path / "b", redis_server.url)
    name = publish(trained, a_project(trained)).name
    with TestClient(create_app(trained, LabelLoop)) as one, TestClient(create_app(empty, LabelLoop)) as other:
        body = {"project": KEY}
        assert one.post("/setup", json=body).json() == {"model_version": name}
        assert other.post("/setup", json=body).json() == {"model_version": "untrained"}


def test_stopping_leaves_no_thread_behind(context: Context) -> None:
    before = set(threading.enumerate())
    with TestClient(create_app(context, LabelLoop)) as client:
        client.post("/predict", json={"tasks": tasks(["a"]), "project": KEY})
        client.post("/webhook", json={"action": "x"})
    deadline = time.monotonic() + 5
    while any(thread.name.startswith("labelloop") for thread in set(threading.enumerate()) - before):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_health_setup_and_webhook_wait_for_no_embedding(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(context, a_project(context))
    busy, released = threading.Event(), threading.Event()

    def embed_slowly(self: OnDemand, *args: object) -> list[Any]:
        """Holds the interpreter as pure Python does, which is worse than what a network does."""
        busy.set()
        while not released.is_set():
            sum(range(1000))
        return []

    monkeypatch.setattr(OnDemand, "_embed", embed_slowly)
    with served(create_app(context, LabelLoop)) as url:
        body = {"tasks": tasks(["unseen"]), "project": KEY, "label_config": CONFIG}
        asking = threading.Thread(target=requests.post, args=(f"{url}/predict",), kwargs={"json": body, "timeout": 20})
        asking.start()
        try:
            assert busy.wait(10)
            _call_each(url)
            assert asking.is_alive()
        finally:
            released.set()
        asking.join()


def test_health_and_setup_do_not_wait_for_a_store_that_hangs(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    name = publish(context, a_project(context)).name
    hangs, released = threading.Event(), threading.Event()

    def hang(*args: object) -> None:
        hangs.set()
        released.wait(30)

    with served(create_app(context, LabelLoop)) as url:
        monkeypatch.setattr(Store, "names", hang)
        try:
            assert hangs.wait(5)
            _call_each(url)
            answer = requests.post(f"{url}/setup", json={"project": KEY}, timeout=5).json()
            assert not released.is_set()
        finally:
            released.set()
    assert answer == {"model_version": name}


def _call_each(url: str, times: int = 20) -> None:
    """Whatever these calls wait for longer than a few seconds fails the test; the benchmarks say how long they take."""
    event = {"action": "ANNOTATION_CREATED", "annotation": {"id": 1}, "project": {"id": 4}}
    with requests.Session() as session:
        for _ in range(times):
            assert session.get(f"{url}/health", timeout=5).ok
            assert session.post(f"{url}/setup", json={"project": KEY, "schema": CONFIG}, timeout=5).ok
            assert session.post(f"{url}/webhook", json=event, timeout=5).ok
