"""What is done with each event Label Studio sends."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labelloop.errors import PayloadError
from labelloop.labelstudio import ProjectKey
from labelloop.service.context import Context
from labelloop.service.endpoint import Endpoint
from labelloop.service.marks import Mark, Marks
from labelloop.service.queueing import ROUNDS, queue_of
from labelloop.service.ticker import Ticker
from support.redis_process import RedisProcess
from support.serving import CONFIG, KEY, a_context, a_project, wait_for

PROJECT = {
    "id": 4,
    "created_at": "2026-11-23T22:18:53.971329Z",
    "title": "A project",
    "label_config": CONFIG,
    "token": "project-secret",
    "task_data_password": "data-secret",
}
ANNOTATION = {"id": 10, "was_cancelled": False, "result": [{"from_name": "c"}], "task": 1}


@pytest.fixture
def context(tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A context with a project; the clock that starts rounds by itself stands still."""
    monkeypatch.setattr(Ticker, "beat", lambda self, now: None)
    context = a_context(tmp_path, redis_server.url, train_after=3)
    a_project(context)
    return context


@pytest.fixture
def endpoint(context: Context) -> Iterator[Endpoint]:
    endpoint = Endpoint(context)
    endpoint.start()
    yield endpoint
    endpoint.stop()


def mark_of(context: Context) -> Mark:
    return Marks(context.redis, context.projects.slug(ProjectKey.parse(KEY))).read()


def rounds(context: Context) -> list[str]:
    return list(queue_of(context.redis, ROUNDS).job_ids)


def event(action: str, **more: Any) -> dict[str, Any]:
    return {"action": action, "project": PROJECT, **more}


@pytest.mark.parametrize(
    ("payload", "changes", "arrivals", "full"),
    [
        (event("ANNOTATION_CREATED", annotation=ANNOTATION, task={"id": 1}), 1, 0, False),
        (event("ANNOTATION_UPDATED", annotation=ANNOTATION, task={"id": 1}), 1, 0, False),
        (event("ANNOTATIONS_CREATED", annotation=[ANNOTATION, ANNOTATION], task=[{"id": 1}, {"id": 2}]), 2, 0, False),
        (event("ANNOTATIONS_DELETED", annotations=[{"id": 36}]), 1, 0, True),
        (event("TASKS_CREATED", tasks=[{"id": 1}, {"id": 2}]), 0, 2, False),
        (event("TASKS_DELETED", tasks=[{"id": 1}]), 0, 1, False),
    ],
)  # fmt: skip
def test_a_change_is_noted(
    endpoint: Endpoint, context: Context, payload: dict[str, Any], changes: int, arrivals: int, full: bool
) -> None:
    assert endpoint.event(payload)["status"] == "noted"
    mark = mark_of(context)
    assert (mark.changes, mark.arrivals, mark.full) == (changes, arrivals, full)
    assert rounds(context) == []


@pytest.mark.parametrize(
    "payload",
    [
        event("ANNOTATION_CREATED", annotation={**ANNOTATION, "was_cancelled": True, "result": []}),
        event("ANNOTATION_CREATED"),
        event("ANNOTATION_CREATED", annotation=None),
        event("ANNOTATIONS_DELETED", annotations="all of them"),
        event("LABEL_LINK_CREATED", label_link={"id": 1}),
        event("PROJECT_UPDATED"),
        event("SOMETHING_NEW", whatever=[1, 2]),
        event(""),
        {"action": "ANNOTATION_CREATED", "annotation": ANNOTATION},
        {"action": ["ANNOTATION_CREATED"], "project": 4},
        {"action": "\ud800", "project": PROJECT},
        {},
    ],
)
def test_what_changes_no_label_is_ignored_and_says_so(
    endpoint: Endpoint, context: Context, payload: dict[str, Any]
) -> None:
    answer = endpoint.event(payload)
    assert answer["status"] == "ignored"
    answer["detail"].encode()
    assert not mark_of(context)
    assert rounds(context) == []


@pytest.mark.parametrize("payload", [None, [], "text", 7])
def test_a_payload_that_is_no_object_is_refused(endpoint: Endpoint, payload: object) -> None:
    with pytest.raises(PayloadError):
        endpoint.event(payload)


def test_enough_changes_ask_for_one_round(endpoint: Endpoint, context: Context) -> None:
    answers = [endpoint.event(event("ANNOTATION_CREATED", annotation=ANNOTATION)) for _ in range(5)]
    assert [answer["status"] for answer in answers] == ["noted", "noted", "queued", "noted", "noted"]
    assert rounds(context) == [answers[2]["job"]]


def test_two_changes_in_one_event_do_not_jump_over_the_threshold(endpoint: Endpoint, context: Context) -> None:
    pair = event("ANNOTATIONS_CREATED", annotation=[ANNOTATION, ANNOTATION])
    assert [endpoint.event(pair)["status"] for _ in range(2)] == ["noted", "queued"]


def test_each_round_that_has_begun_may_be_followed_by_another(endpoint: Endpoint, context: Context) -> None:
    for _ in range(2):
        for _ in range(3):
            answer = endpoint.event(event("ANNOTATION_CREATED", annotation=ANNOTATION))
        assert answer["status"] == "queued"
        Marks(context.redis, context.projects.slug(ProjectKey.parse(KEY))).take()
        queue_of(context.redis, ROUNDS).empty()


def test_enough_changes_wait_like_all_else_where_a_round_has_failed(endpoint: Endpoint, context: Context) -> None:
    Marks(context.redis, context.projects.slug(ProjectKey.parse(KEY))).hold(30)
    answers = [endpoint.event(event("ANNOTATION_CREATED", annotation=ANNOTATION)) for _ in range(4)]
    assert {answer["status"] for answer in answers} == {"noted"}
    assert rounds(context) == []


def test_an_event_that_hints_at_nothing_is_counted_for_the_doctor(endpoint: Endpoint, context: Context) -> None:
    marks = Marks(context.redis, context.projects.slug(ProjectKey.parse(KEY)))
    before = marks.heard()
    endpoint.event(event("PROJECT_UPDATED"))
    assert marks.heard() == before + 1


def test_a_training_is_asked_for_at_once(endpoint: Endpoint, context: Context) -> None:
    answer = endpoint.event(event("START_TRAINING"))
    assert answer["status"] == "queued"
    assert rounds(context) == [answer["job"]]
    assert mark_of(context).force
    assert endpoint.job_status(answer["job"])["job_status"] == "queued"
    assert endpoint.event(event("START_TRAINING"))["job"] == answer["job"]
    assert len(rounds(context)) == 1


def test_training_can_be_asked_for_without_an_event(endpoint: Endpoint, context: Context) -> None:
    assert endpoint.train(KEY)["job"] == rounds(context)[0]
    with pytest.raises(PayloadError):
        endpoint.train(None)


@pytest.mark.parametrize("job", ["", "1795471905", "round-gone", "round-\ud800", "rq:queue:x"])
def test_an_unknown_job_has_a_status_too(endpoint: Endpoint, job: str) -> None:
    assert endpoint.job_status(job)["status"] in {"ok", "ignored"}


def test_the_echo_of_our_own_patch_starts_nothing(endpoint: Endpoint, context: Context) -> None:
    echo = event("PROJECT_UPDATED") | {"project": PROJECT | {"model_version": "v3", "sampling": "Uncertainty sampling"}}
    for _ in range(3):
        assert endpoint.event(echo)["status"] == "ignored"
    time.sleep(0.6)
    assert rounds(context) == []


def test_a_new_label_config_is_remembered_and_starts_a_round(endpoint: Endpoint, context: Context) -> None:
    changed = CONFIG.replace("bird", "fish")
    payload = event("PROJECT_UPDATED") | {"project": PROJECT | {"label_config": changed}}
    assert endpoint.event(payload)["status"] == "noted"
    wait_for(lambda: rounds(context), seconds=2.0)
    known = context.projects.get(ProjectKey.parse(KEY))
    assert known is not None
    assert known.label_config == changed
    assert mark_of(context).force
    assert endpoint.event(payload)["status"] == "ignored"
    assert len(rounds(context)) == 1


def test_a_label_config_that_setup_told_first_starts_a_round_too(endpoint: Endpoint, context: Context) -> None:
    endpoint.setup(KEY, CONFIG.replace("bird", "fish"))
    wait_for(lambda: rounds(context), seconds=2.0)


def test_a_label_config_that_is_only_laid_out_anew_starts_nothing(endpoint: Endpoint, context: Context) -> None:
    tidier = CONFIG.replace("><", ">\n  <")
    endpoint.setup(KEY, tidier)
    wait_for(lambda: context.projects.find(4).label_config == tidier, seconds=2.0)  # type: ignore[union-attr]
    time.sleep(0.2)
    assert rounds(context) == []


def test_an_event_makes_an_unknown_project_known(endpoint: Endpoint, context: Context) -> None:
    other = PROJECT | {"id": 5, "title": "Another"}
    endpoint.event({"action": "ANNOTATION_CREATED", "annotation": ANNOTATION, "project": other})
    wait_for(lambda: context.projects.find(5), seconds=2.0)
    found = context.projects.find(5)
    assert found is not None
    assert (found.title, found.label_config) == ("Another", CONFIG)


def test_without_redis_the_answer_comes_at_once_and_says_so(
    tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint(a_context(tmp_path, "redis://127.0.0.1:1"))
    started = time.monotonic()
    for payload in (event("ANNOTATION_CREATED", annotation=ANNOTATION), event("START_TRAINING")):
        answer = endpoint.event(payload)
        assert answer["status"] == "not noted"
        assert "job" not in answer
    assert endpoint.job_status("round-x")["status"] == "unknown"
    assert time.monotonic() - started < 0.5


def test_a_redis_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = Endpoint(a_context(tmp_path, f"redis://127.0.0.1:{silent.getsockname()[1]}"))
        started = time.monotonic()
        assert endpoint.event(event("ANNOTATION_CREATED", annotation=ANNOTATION))["status"] == "not noted"
        assert time.monotonic() - started < 0.9


def test_redis_may_come_back(tmp_path: Path, redis_server: RedisProcess) -> None:
    endpoint = Endpoint(a_context(tmp_path, redis_server.url))
    payload = event("ANNOTATION_CREATED", annotation=ANNOTATION)
    assert endpoint.event(payload)["status"] == "noted"
    redis_server.stop()
    assert endpoint.event(payload)["status"] == "not noted"
    redis_server.start()
    assert endpoint.event(payload)["status"] == "noted"


def test_no_hint_is_lost_when_many_annotators_submit_at_once(endpoint: Endpoint, context: Context) -> None:
    def submit() -> None:
        for _ in range(25):
            endpoint.event(event("ANNOTATION_CREATED", annotation=ANNOTATION))

    annotators = [threading.Thread(target=submit) for _ in range(4)]
    for annotator in annotators:
        annotator.start()
    for annotator in annotators:
        annotator.join()
    assert mark_of(context).changes == 100
    assert len(rounds(context)) == 1
