"""The doctor on real things: each of them well, and each of them broken in the way it breaks."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rq import Worker
from rq.serializers import JSONSerializer

from labelloop.hooks import LabelLoop
from labelloop.labelstudio import parse_label_config
from labelloop.service.app import create_app
from labelloop.service.connection import connect
from labelloop.service.context import Context
from labelloop.service.doctor import Finding, Level, examine
from labelloop.service.doctor.connection_checks import strays
from labelloop.service.doctor.content_checks import label_config
from labelloop.service.push_state import PushState, write_push
from labelloop.service.queueing import QUEUES, queue_of
from labelloop.service.state import ProjectState, write_state
from support.redis_process import RedisProcess
from support.serving import CONFIG, a_context, data_uri, publish, served
from support.studio_process import StudioProcess

IMAGES = '<View><Image name="i" value="$image"/><Choices name="c" toName="i"><Choice value="a"/><Choice value="b"/></Choices></View>'


def found(context: Context, name: str, project_id: int | None = None) -> list[Finding]:
    return [finding for finding in examine(context, project_id) if finding.name == name]


def one(context: Context, name: str, project_id: int | None = None) -> Finding:
    [finding] = found(context, name, project_id)
    return finding


@pytest.fixture
def listening(redis_server: RedisProcess) -> Iterator[Worker]:
    """A worker that has reported for duty on every queue."""
    redis = redis_server.client()
    worker = Worker([queue_of(redis, name) for name in QUEUES], connection=redis, serializer=JSONSerializer)
    worker.register_birth()
    yield worker
    worker.register_death()
    redis.close()


@pytest.fixture
def alone(tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    """Everything but a Label Studio, which does not answer, and is not asked again."""
    monkeypatch.setattr("labelloop.labelstudio.connection.RETRY_AFTER", ())
    context = a_context(tmp_path, redis_server.url, label_studio_api_key="a-token", port=1)
    yield context
    context.redis.close()


def test_a_label_studio_that_does_not_answer_is_one_line_and_ends_the_walk(alone: Context) -> None:
    findings = list(examine(alone, 1))
    [away] = [finding for finding in findings if finding.name == "label studio"]
    assert (away.level, away.mend) == (Level.BROKEN, "start it, or set LABEL_STUDIO_URL to where it answers")
    assert {"token", "projects", "project"}.isdisjoint(finding.name for finding in findings)


def test_a_missing_token_is_told_with_its_mend(tmp_path: Path, redis_server: RedisProcess) -> None:
    context = a_context(tmp_path, redis_server.url, label_studio_api_key="", port=1)
    found = one(context, "label studio")
    context.redis.close()

    assert "LABEL_STUDIO_API_KEY is not set" in found.seen
    assert found.mend.startswith("set LABEL_STUDIO_API_KEY to a personal access token")


def test_every_line_that_is_not_well_says_what_to_do(alone: Context) -> None:
    lines = [finding for finding in examine(alone) if finding.level is not Level.OK]
    assert {finding.name for finding in lines} == {"workers", "server", "label studio"}
    assert all(finding.mend for finding in lines)


def test_a_worker_that_listens_is_counted(alone: Context, listening: Worker) -> None:
    assert one(alone, "workers").level is Level.OK


def test_workers_that_leave_a_queue_alone_are_broken(alone: Context) -> None:
    redis = alone.redis
    worker = Worker([queue_of(redis, QUEUES[0])], connection=redis, serializer=JSONSerializer)
    worker.register_birth()
    finding = one(alone, "workers")
    worker.register_death()
    assert finding.level is Level.BROKEN
    assert QUEUES[1] in finding.seen and QUEUES[0] not in finding.seen


def test_a_redis_that_is_gone_is_broken_and_its_workers_are_not_asked_for(tmp_path: Path) -> None:
    context = a_context(tmp_path, f"unix://{tmp_path}/none.sock")
    assert one(context, "redis").level is Level.BROKEN
    assert found(context, "workers") == []


def test_a_store_that_cannot_be_written_is_broken(tmp_path: Path, redis_server: RedisProcess) -> None:
    (tmp_path / "file").write_text("in the way")
    finding = one(a_context(tmp_path, redis_server.url, store_url=str(tmp_path / "file")), "store")
    assert finding.level is Level.BROKEN
    assert "LABELLOOP_STORE_URL" in finding.mend


@pytest.mark.parametrize(("host", "url"), [("::1", "http://[::1]:1"), ("0.0.0.0", "http://127.0.0.1:1")])
def test_a_server_is_looked_for_where_it_listens(
    tmp_path: Path, redis_server: RedisProcess, host: str, url: str
) -> None:
    finding = one(a_context(tmp_path, redis_server.url, host=host, port=1, basic_auth="loop:secret"), "server")
    assert finding.level is Level.WARN
    assert finding.seen.startswith(f"{url} does not answer")


def test_a_password_of_the_store_is_not_repeated(tmp_path: Path, redis_server: RedisProcess) -> None:
    context = a_context(tmp_path, redis_server.url, store_url="ftp://me:secret@127.0.0.1:1/store")
    finding = one(context, "store")
    assert finding.level is Level.BROKEN
    assert "secret" not in finding.seen + finding.mend


def test_a_webhook_to_a_backend_written_otherwise_is_not_left_behind() -> None:
    case: Any = SimpleNamespace(
        backends=[{"url": "http://Other.Example:9090"}],
        webhook_url="http://127.0.0.1:9090/webhook",
        webhooks=[
            {"url": f"http://{host}:9090/webhook", "is_active": True} for host in ("other.example", "gone.example")
        ],
    )
    assert ["gone.example" in seen.text for seen in strays(case)] == [True]


def test_a_server_that_asks_for_other_credentials_is_broken(tmp_path: Path, redis_server: RedisProcess) -> None:
    with served(create_app(a_context(tmp_path, redis_server.url, basic_auth="loop:secret"), LabelLoop)) as url:
        port = int(url.rsplit(":", 1)[1])
        assert one(a_context(tmp_path, redis_server.url, port=port), "server").level is Level.BROKEN
        right = a_context(tmp_path, redis_server.url, port=port, basic_auth="loop:secret")
        assert one(right, "server").level is Level.OK


@pytest.mark.parametrize(
    ("control", "learnt"),
    [
        ('<TextArea name="c" toName="t"/>', "c (written answers, text)"),
        ('<Choices name="c" toName="t" value="$options"/>', "c (classes of each task's data, text)"),
        ('<Labels name="c" toName="t"><Label value="A"/></Labels>', "c (1 class, text)"),
        ('<Choices name="c" toName="t"><Choice value="A"/><Choice value="B"/></Choices>', "c (2 classes, text)"),
    ],
)
def test_what_is_learnt_of_a_control_is_named(control: str, learnt: str) -> None:
    config = parse_label_config(f'<View><Text name="t" value="$text"/>{control}</View>')
    case: Any = SimpleNamespace(label_config=config)
    assert [seen.text for seen in label_config(case)] == [f"learns {learnt}"]


@pytest.fixture
def connected(
    studio: StudioProcess, tmp_path: Path, redis_server: RedisProcess, listening: Worker
) -> Iterator[tuple[Context, int]]:
    """A project of a real Label Studio, connected with a real server, and a version whose scores it has."""
    given = {
        "label_studio_url": studio.url,
        "label_studio_api_key": studio.api_key,
        "text_backbone": "plain",
        "image_backbone": "plain",
    }
    context = a_context(tmp_path, redis_server.url, **given)
    door = context.label_studio
    with served(create_app(context, LabelLoop)) as url:
        project_id = int(door.create_project("Examined", CONFIG)["id"])
        door.import_tasks(project_id, [{"text": f"text {n}"} for n in range(3)])
        connect(context, project_id, url)
        project = context.projects.find(project_id)
        assert project is not None
        version = publish(context, project).name
        score_all(context, project_id, version)
        write_push(context.store, project.folder, PushState(version, switched=True))
        connect(context, project_id, url)
        yield context, project_id


def score_all(context: Context, project_id: int, version: str, score: float | None = 0.5) -> None:
    ids = [task["id"] for task in context.label_studio.tasks(project_id)]
    items = [{"task": one, "result": [], "model_version": version, "score": score} for one in ids]
    context.label_studio.import_predictions(project_id, items)


@pytest.mark.studio
def test_all_is_well_with_a_project_that_is_connected(connected: tuple[Context, int]) -> None:
    context, project_id = connected
    findings = list(examine(context))
    levels: dict[str, Any] = {finding.name: finding for finding in findings}
    for name in (
        "label studio",
        "token",
        "backend",
        "webhook",
        "events",
        "versions",
        "scores",
        "sampling",
        "annotators",
        "media",
    ):
        assert levels[name].level is Level.OK, levels[name]
    assert [finding for finding in findings if finding.level is Level.BROKEN] == []
    assert levels["token"].seen.startswith("personal access token of ")
    assert levels["events"].project == project_id


@pytest.mark.studio
def test_what_is_wrong_with_a_project_is_named(connected: tuple[Context, int]) -> None:
    context, project_id = connected
    door = context.label_studio
    [webhook] = door.webhooks(project_id)
    door.update_webhook(webhook["id"], url=webhook["url"], is_active=False)
    door.update_project(project_id, sampling="Sequential sampling", maximum_annotations=2)
    door.create_webhook(project_id, "http://127.0.0.1:9/webhook")
    assert one(context, "webhook").level is Level.BROKEN
    assert one(context, "sampling").level is Level.BROKEN
    assert one(context, "annotators").level is Level.WARN
    assert "127.0.0.1:9" in one(context, "webhooks").seen
    assert found(context, "events") == []
    door.delete_webhook(webhook["id"])
    assert "none calls" in one(context, "webhook").seen


@pytest.mark.studio
def test_events_that_do_not_arrive_are_broken(connected: tuple[Context, int]) -> None:
    """The webhook looks right, but what listens at its address keeps its events in another Redis."""
    context, project_id = connected
    other = Context(context.settings.model_copy(update={"redis_url": f"{context.settings.redis_url}?db=1"}))
    assert one(other, "events", project_id).level is Level.BROKEN


@pytest.mark.studio
def test_versions_that_disagree_are_told_with_the_mend(connected: tuple[Context, int]) -> None:
    context, project_id = connected
    context.label_studio.update_project(project_id, model_version="Labelloop")
    assert "title" in one(context, "versions").seen
    context.label_studio.update_project(project_id, model_version="")
    finding = one(context, "versions")
    assert (finding.level, finding.mend) == (Level.WARN, f"labelloop rescore --project {project_id}")
    project = context.projects.find(project_id)
    assert project is not None
    publish(context, project)
    assert "not all written yet" in one(context, "versions").seen


@pytest.mark.studio
def test_scores_are_not_missed_where_no_task_waits(connected: tuple[Context, int]) -> None:
    context, project_id = connected
    project = context.projects.find(project_id)
    assert project is not None
    publish(context, project)
    write_state(
        context.store, project.folder, ProjectState(tasks=3, labels=3, last_round_at="2026-11-24T02:15:30+00:00")
    )
    finding = one(context, "versions")
    assert finding.level is Level.OK and "no task waits for a label" in finding.seen


@pytest.mark.studio
def test_tasks_without_a_score_are_counted(connected: tuple[Context, int]) -> None:
    context, project_id = connected
    context.label_studio.import_tasks(project_id, [{"text": "new"}])
    assert one(context, "scores").seen.startswith("1 of 4")
    score_all(context, project_id, str(context.label_studio.project(project_id)["model_version"]), None)
    assert one(context, "scores").seen.startswith("1 of 4")  # a null is no score


@pytest.mark.studio
def test_data_that_cannot_be_had_is_broken(connected: tuple[Context, int]) -> None:
    context, _ = connected
    project_id = int(context.label_studio.create_project("Elsewhere", IMAGES)["id"])
    context.label_studio.import_tasks(project_id, [{"image": "http://media.example.org/1.png"}])
    finding = one(context, "media", project_id)
    assert finding.level is Level.BROKEN and "media.example.org" in finding.seen

    context.label_studio.import_tasks(project_id, [{"image": data_uri(1)}])
    finding = one(context, "media", project_id)
    assert finding.level is Level.WARN and "media.example.org" in finding.seen and finding.seen.endswith("can be read")
    assert "labelloop connect" in one(context, "connection", project_id).mend


@pytest.mark.studio
def test_a_project_that_is_not_there_is_one_line(connected: tuple[Context, int]) -> None:
    context, _ = connected
    assert [finding.name for finding in examine(context, 987654) if finding.project] == ["project"]
