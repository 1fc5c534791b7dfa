"""The traps of Label Studio's side of the HTTP API, each met by the whole server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from labelloop.hooks import LabelLoop
from labelloop.service.app import create_app
from labelloop.service.context import Context
from support.redis_process import RedisProcess
from support.serving import CONFIG, KEY, a_context, a_project, publish, tasks, texts

TRAFFIC = Path(__file__).parents[2] / "shared" / "fixtures" / "label-studio-1.23.2-traffic.jsonl"
EVENT = {"action": "ANNOTATION_CREATED", "annotation": {"id": 1}, "project": {"id": 4}}
CALLS = [
    ("GET", "/", None),
    ("GET", "/health", None),
    ("GET", "/versions", None),
    ("GET", "/metrics", None),
    ("POST", "/versions", {"project": KEY}),
    ("POST", "/setup", {"project": KEY, "schema": CONFIG, "hostname": "http://x", "access_token": "t", "extra_params": {"a": 1}}),
    ("POST", "/predict", {"tasks": tasks(["apple"]), "project": KEY, "label_config": CONFIG, "params": {"context": None}}),
    ("POST", "/webhook", EVENT),
    ("POST", "/train", {"annotations": [], "project": KEY, "label_config": CONFIG, "params": {}}),
    ("POST", "/validate", {"config": CONFIG}),
    ("POST", "/job_status", {"job": "round-x"}),
    ("POST", "/delete", {"project": KEY}),
    ("POST", "/duplicate_model", {"project_src": KEY, "project_dst": "5.1"}),
]  # fmt: skip


@pytest.fixture
def context(tmp_path: Path, redis_server: RedisProcess) -> Context:
    context = a_context(tmp_path, redis_server.url)
    publish(context, a_project(context))
    return context


@pytest.fixture
def client(context: Context) -> Iterator[TestClient]:
    with TestClient(create_app(context, LabelLoop), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_every_call_of_its_client_is_answered_with_an_object(
    client: TestClient, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = client.request(method, path, json=body)
    assert answer.status_code == 200
    assert isinstance(answer.json(), dict)


@pytest.mark.skipif(not TRAFFIC.exists(), reason="the recorded traffic is not here")
def test_recorded_traffic_is_answered(client: TestClient) -> None:
    recorded = [json.loads(line) for line in TRAFFIC.read_text().splitlines()]
    assert len(recorded) > 20
    for call in recorded:
        answer = client.request(call["method"], call["path"], json=call["body"])
        assert answer.status_code == 200, call["cause"]
        assert isinstance(answer.json(), dict)
        if call["path"] == "/predict":
            assert len(answer.json()["results"]) == len(call["body"]["tasks"])


def test_health_needs_nothing_of_the_request(client: TestClient) -> None:
    assert client.get("/health", headers={"User-Agent": "heartex/1.23.2"}).json()["status"] == "UP"


@pytest.mark.parametrize("project", [KEY, "99.1", None])
def test_setup_never_answers_without_a_version(client: TestClient, project: str | None) -> None:
    answer = client.post("/setup", json={"project": project, "schema": CONFIG, "extra_params": "text"})
    assert answer.json()["model_version"]
    assert isinstance(answer.json()["model_version"], str)


@pytest.mark.parametrize("extra", [None, "text", {"an": "object"}, ["a", "list"], 7])
def test_extra_params_of_any_form_are_let_through(client: TestClient, extra: object) -> None:
    assert client.post("/setup", json={"project": KEY, "schema": CONFIG, "extra_params": extra}).status_code == 200


def test_the_stamp_of_predictions_is_the_version_setup_answers(client: TestClient) -> None:
    version = client.post("/setup", json={"project": KEY, "schema": CONFIG}).json()["model_version"]
    results = client.post("/predict", json={"tasks": tasks(["ripe apple"]), "project": KEY}).json()["results"]
    assert results[0]["model_version"] == version != "untrained"


@pytest.mark.parametrize("count", [0, 1, 700])
def test_as_many_results_as_tasks(client: TestClient, count: int) -> None:
    body = {"tasks": tasks([text for text, _ in texts(count)]), "project": KEY, "label_config": CONFIG}
    results = client.post("/predict", json=body).json()["results"]
    assert [result["result"][0]["value"]["choices"] for result in results] == [[label] for _, label in texts(count)]


def test_no_null_reaches_label_studio(client: TestClient) -> None:
    odd = [{}, {"id": 1, "data": {"text": None}}, *tasks(["apple", ""])]
    answer = client.post("/predict", json={"tasks": odd, "project": KEY, "label_config": CONFIG})
    assert "null" not in answer.text
    assert "NaN" not in answer.text
    assert len(answer.json()["results"]) == len(odd)


def test_a_project_with_a_broken_config_is_answered_all_the_same(client: TestClient) -> None:
    broken = {"project": "7.1795472333", "schema": "<View>", "label_config": "<View>", "tasks": tasks(["apple"])}
    assert client.post("/setup", json=broken).json() == {"model_version": "untrained"}
    assert client.post("/predict", json=broken).json() == {"results": [[]]}


def test_an_interactive_request_gets_one_prediction(client: TestClient) -> None:
    body = {
        "tasks": tasks(["ripe apple"]),
        "project": KEY,
        "label_config": CONFIG,
        "params": {"context": {"result": []}},
    }
    (result,) = client.post("/predict", json=body).json()["results"]
    assert result["result"][0]["value"]["choices"] == ["fruit"]


def test_projects_do_not_share_a_model(client: TestClient) -> None:
    for project in ("8.1795472333", KEY):
        client.post("/setup", json={"project": project, "schema": CONFIG})
    mine, other = (
        client.post(
            "/predict", json={"tasks": tasks(["ripe apple"]), "project": project, "label_config": CONFIG}
        ).json()
        for project in (KEY, "8.1795472333")
    )
    assert mine["results"][0] != []
    assert other["results"] == [[]]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", b"{"),
        ("/predict", b""),
        ("/predict", b"[1, 2]"),
        ("/predict", b'{"tasks": "all"}'),
        ("/predict", b'{"tasks": [1, 2]}'),
        ("/predict", b'{"project": "4.1"}'),
        ("/predict", b"[" * 100_000),
        ("/setup", b'{"project": {"id": 4}}'),
        ("/setup", b'{"project": "not a key"}'),
        ("/webhook", b"[]"),
        ("/webhook", b'"ANNOTATION_CREATED"'),
        ("/webhook", b"\xff\xfe"),
        ("/train", b"{}"),
        ("/job_status", b"{}"),
    ],
)
def test_a_malformed_body_is_refused_in_json(client: TestClient, path: str, body: bytes) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert answer.json()["detail"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("GET", "/predict"), ("DELETE", "/health")])
def test_what_is_not_there_is_said_in_json(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code in {404, 405}
    assert answer.json()["detail"]


def test_a_refusal_repeats_nothing_of_the_body(client: TestClient) -> None:
    answer = client.post("/predict", json={"tasks": "secret-1", "params": "secret-2", "access_token": "secret-3"})
    assert answer.status_code == 422
    assert "secret" not in answer.text
