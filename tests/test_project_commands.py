"""The commands about projects, as a person or a script calls them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from labelloop.cli import app
from labelloop.service import jobs
from labelloop.service.asking import Standing
from labelloop.service.context import Context
from labelloop.service.marks import Marks
from labelloop.service.push_state import PushState, read_push, write_push
from labelloop.service.queueing import PUSHES, ROUNDS, queue_of
from labelloop.service.state import ROUND, Failure, ProjectState, write_state
from labelloop.settings import get_settings
from support.paper import PaperStudio
from support.redis_process import RedisProcess
from support.serving import a_context, a_project, publish

ID = 4


@pytest.fixture
def context(tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    """The settings of the environment that the commands read, and one project; Label Studio does not answer."""
    context = a_context(tmp_path, redis_server.url)
    monkeypatch.setattr("labelloop.labelstudio.connection.RETRY_AFTER", ())
    monkeypatch.setenv("LABELLOOP_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    monkeypatch.setenv("LABEL_STUDIO_URL", context.settings.label_studio_url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "a-token")
    monkeypatch.setenv("LABELLOOP_PORT", "1")
    monkeypatch.setenv("COLUMNS", "200")
    get_settings.cache_clear()
    yield context
    context.redis.close()
    get_settings.cache_clear()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def failed(*arguments: str) -> str:
    """What a command says on the error stream when it fails as it should."""
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    said = [line for line in result.stderr.splitlines() if line.startswith("labelloop: ")]
    assert len(said) == 1 and "Traceback" not in result.output
    return said[0]


@pytest.mark.parametrize("command", [["status"], ["train"], ["rescore"], ["versions"], ["rollback", "v1-x"]])
def test_without_a_project_every_command_says_how_to_connect_one(context: Context, command: list[str]) -> None:
    assert "labelloop connect" in failed(*command)
    a_project(context)
    assert "Project 5 is not connected" in failed(*command, "--project", "5")


def test_with_two_projects_one_must_be_named(context: Context) -> None:
    a_project(context)
    a_project(context, key="5.1795472333")
    assert "(4, 5)" in failed("versions")
    assert run("versions", "--project", "5").exit_code == 0


def test_a_label_studio_that_does_not_answer_is_told_in_one_sentence(context: Context) -> None:
    assert "cannot be reached" in failed("connect", "--project", "4", "--backend-url", "http://127.0.0.1:9090")


def test_connecting_without_a_token_tells_once_what_to_do(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "")
    get_settings.cache_clear()

    said = failed("connect", "--project", "1", "--backend-url", "http://localhost:9090")
    assert said.count("LABEL_STUDIO_API_KEY") == said.count("token") == 1


def test_a_redis_that_is_gone_is_told_in_one_sentence(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_project(context)
    monkeypatch.setenv("REDIS_URL", f"unix://{tmp_path}/none.sock")
    get_settings.cache_clear()
    assert "REDIS_URL" in failed("train", "--no-wait")


def test_status_shows_the_version_and_why_the_last_training_was_refused(context: Context) -> None:
    project = a_project(context)
    version = publish(context, project)
    state = ProjectState(tasks=9, labels=4, pool=5, last_training="Refused: worse by 3 points.", last_training_at="now")
    write_state(context.store, project.folder, state)
    shown = run("status")
    for text in (
        "A project",
        "4 of 9 tasks",
        version.name,
        "plain",
        "Refused: worse by 3 points.",
        "no worker listens",
    ):
        assert text in shown.stdout


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_status_fails_where_something_is_in_error(
    context: Context, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    project = a_project(context)
    away = run("status", *options)
    assert away.exit_code == 1 and "cannot be reached" in " ".join(away.stdout.split())

    vars(context)["label_studio"] = PaperStudio(str(project.key))
    monkeypatch.setattr("labelloop.service.context.open_context", lambda: context)
    assert run("status", *options).exit_code == 0

    write_state(context.store, project.folder, ProjectState(failing={ROUND: Failure("broken.", 1)}))
    assert run("status", *options).exit_code == 1


def test_status_answers_whether_labelling_can_stop(context: Context) -> None:
    project = a_project(context)
    assert "Cannot tell yet: no version has been judged." in " ".join(run("status").stdout.split())
    publish(context, project)
    write_state(context.store, project.folder, ProjectState(stopped="Yes, the target of 90.0% is reached."))
    shown = " ".join(run("status").stdout.split())
    assert "can we stop?" in shown
    assert "none by itself: Yes, the target of 90.0% is reached." in shown
    [report] = json.loads(run("status", "--json").stdout)
    assert report["stopping"]["verdict"] == "cannot_tell"
    assert report["stopped"].startswith("Yes")


def test_status_as_json_is_a_list_of_projects(context: Context) -> None:
    a_project(context)
    [report] = json.loads(run("status", "--json").stdout)
    assert (report["project"], report["title"], report["live"]) == (ID, "A project", None)


def test_a_training_that_is_not_waited_for_is_queued_by_force(context: Context) -> None:
    project = a_project(context)
    assert run("train", "--no-wait").exit_code == 0
    assert queue_of(context.redis, ROUNDS).job_ids == [f"round-{project.slug}"]
    assert Marks(context.redis, project.slug).read().force


def test_versions_lists_the_newest_first_and_marks_the_live_one(context: Context) -> None:
    project = a_project(context)
    first, second = publish(context, project), publish(context, project)
    context.versions(project).make_live(first.name)
    lines = run("versions").stdout.splitlines()
    [live] = [line for line in lines if "live" in line]
    assert first.name in live
    listed = json.loads(run("versions", "--json").stdout)
    assert listed["live"] == first.name
    assert [version["name"] for version in listed["versions"]] == [second.name, first.name]


def test_a_versions_name_is_whole_on_a_narrow_terminal(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = publish(context, a_project(context), stage="cold").name
    assert name in run("versions").stdout


def test_rollback_moves_the_pointer_and_has_the_scores_written(context: Context) -> None:
    project = a_project(context)
    first, second = publish(context, project), publish(context, project)
    shown = run("rollback", first.name, "--no-wait")
    assert shown.exit_code == 0 and second.name in shown.stdout
    assert context.versions(project).live_name() == first.name
    assert queue_of(context.redis, PUSHES).job_ids == [f"push-{project.slug}"]


def test_rollback_to_what_is_not_there_changes_nothing(context: Context) -> None:
    project = a_project(context)
    version = publish(context, project)
    assert "v9-none" in failed("rollback", "v9-none", "--no-wait")
    assert context.versions(project).live_name() == version.name


def test_rescore_forgets_what_it_believes_to_be_written_whatever_a_push_at_hand_notes(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = a_project(context)
    assert "no version yet" in failed("rescore", "--no-wait")
    version = publish(context, project)
    assert run("rescore", "--no-wait").exit_code == 0
    written = PushState(version.name, {1: 0.1}, {1}, certain=True)
    write_push(context.store, project.folder, written)  # by the push at hand
    found = []

    def part(*_: object) -> bool:
        found.append(read_push(context.store, project.folder))
        return False

    monkeypatch.setattr(jobs, "push_part", part)
    jobs._push(context, project)
    write_push(context.store, project.folder, written)
    jobs._push(context, project)
    assert found == [None, written]


@pytest.mark.parametrize("command", [["rescore"], ["rollback", "v1-x"]])
@pytest.mark.parametrize(("switched", "said"), [(True, "is ordered by v1-x"), (False, "No task waits for a label")])
def test_an_order_is_told_of_only_where_there_is_one(
    context: Context, monkeypatch: pytest.MonkeyPatch, command: list[str], switched: bool, said: str
) -> None:
    project = a_project(context)
    version = publish(context, project)
    monkeypatch.setattr("labelloop.service.asking.require_worker", lambda _: None)
    monkeypatch.setattr("labelloop.service.asking.push_standing", lambda *_: Standing(True, False, None))
    write_push(context.store, project.folder, PushState("v1-x", switched=switched, certain=True))

    assert said in run(*(word.replace("v1-x", version.name) for word in command)).stdout


def test_doctor_fails_when_something_is_broken_and_says_what_as_json(context: Context) -> None:
    result = run("doctor", "--json")
    assert result.exit_code == 1
    levels = {line["name"]: line["level"] for line in json.loads(result.stdout)}
    assert (levels["redis"], levels["workers"]) == ("ok", "broken")
    assert "broken workers" in " ".join(run("doctor").stdout.split())
