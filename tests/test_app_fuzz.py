"""Whatever is sent to whatever the OpenAPI page lists, the answer is an object and never our fault."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from labelloop.hooks import LabelLoop
from labelloop.service.app import create_app
from support.redis_process import RedisProcess
from support.serving import CONFIG, KEY, a_context, a_project, publish

FIELDS = [
    "action",
    "project",
    "id",
    "created_at",
    "label_config",
    "schema",
    "title",
    "annotation",
    "annotations",
    "tasks",
    "task",
    "data",
    "text",
    "was_cancelled",
    "result",
    "params",
    "context",
    "job",
    "config",
    "extra_params",
]
ACTIONS = [
    "ANNOTATION_CREATED",
    "ANNOTATIONS_CREATED",
    "ANNOTATIONS_DELETED",
    "TASKS_CREATED",
    "PROJECT_UPDATED",
    "START_TRAINING",
]
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=20),
    st.sampled_from([KEY, "4", "2026-11-23T22:18:53.971329Z", CONFIG, *ACTIONS]),
)  # fmt: skip
JSON = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=20,
)
BODIES = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=8) | JSON
JSON_BODY = {"Content-Type": "application/json"}
BOUNDED = settings(max_examples=150, database=None)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    redis = RedisProcess(tmp_path_factory.mktemp("redis"))
    redis.start()
    context = a_context(tmp_path_factory.mktemp("fuzz"), redis.url)
    publish(context, a_project(context))
    with TestClient(create_app(context, LabelLoop), raise_server_exceptions=False) as client:
        yield client
    redis.stop()


def paths(client: TestClient, method: str) -> list[str]:
    listed = client.get("/openapi.json").json()["paths"]
    return [path for path, methods in listed.items() if method in methods]


@BOUNDED
@given(data=st.data())
def test_any_json_is_answered_with_an_object(client: TestClient, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(paths(client, "post")))
    body = data.draw(BODIES)
    answer = client.post(path, content=json.dumps(body), headers=JSON_BODY)
    assert answer.status_code < 500, answer.text
    assert isinstance(answer.json(), dict)


@BOUNDED
@given(tasks=st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5), max_size=8))
def test_any_tasks_get_an_answer_each(client: TestClient, tasks: list[dict[str, Any]]) -> None:
    body = {"tasks": tasks, "project": KEY, "label_config": CONFIG}
    answer = client.post("/predict", content=json.dumps(body), headers=JSON_BODY)
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert len(results) == len(tasks)
    for result in results:
        assert result == [] or (0.0 <= result["score"] <= 1.0 and result["model_version"])


@BOUNDED
@given(content=st.binary(max_size=200))
def test_any_bytes_are_answered_with_an_object(client: TestClient, content: bytes) -> None:
    for path in ("/predict", "/setup", "/webhook"):
        answer = client.post(path, content=content, headers=JSON_BODY)
        assert answer.status_code < 500, answer.text
        assert isinstance(answer.json(), dict)


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_is_served_that_loads_scripts_from_elsewhere(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_the_openapi_page_names_bodies_and_answers(client: TestClient) -> None:
    page = client.get("/openapi.json").json()
    for path, methods in page["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], path
            assert operation["responses"]["200"]["content"]["application/json"]["schema"], path
            assert ("requestBody" in operation) is (method == "post"), path
