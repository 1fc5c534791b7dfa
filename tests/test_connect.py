"""Connecting a project of a real Label Studio with a real server, and undoing it."""

import logging
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rq.job import JobStatus

from labelloop.errors import LabelloopError, LabelStudioDenied, LabelStudioRejected, SettingsError
from labelloop.hooks import LabelLoop
from labelloop.labelstudio import LabelStudio, ProjectKey
from labelloop.service.app import create_app
from labelloop.service.connection import connect
from labelloop.service.context import Context
from labelloop.service.disconnection import disconnect
from labelloop.service.live import REFRESH_EVERY
from labelloop.service.project_settings import UNCERTAINTY, settle
from labelloop.service.projects import Project
from labelloop.service.push_state import PushState, write_push
from labelloop.service.queueing import ROUNDS, queue_of
from labelloop.service.versions import Version
from labelloop.service.webhooks import basic_header
from support.redis_process import RedisProcess
from support.serving import CONFIG, a_context, publish, served, wait_for
from support.studio_process import StudioProcess

pytestmark = pytest.mark.studio


@dataclass
class Site:
    """A Label Studio with a new project, and a server that it can call."""

    context: Context
    url: str
    project_id: int

    @property
    def label_studio(self) -> LabelStudio:
        return self.context.label_studio

    def seen(self) -> dict[str, Any]:
        return self.label_studio.project(self.project_id)

    def settings(self) -> dict[str, Any]:
        return {name: self.seen()[name] for name in ("sampling", "model_version", "show_collab_predictions")}

    def backends(self) -> list[dict[str, Any]]:
        return self.label_studio.ml_backends(self.project_id)

    def webhooks(self) -> list[dict[str, Any]]:
        return self.label_studio.webhooks(self.project_id)

    def stored(self) -> Project | None:
        return self.context.projects.get(ProjectKey.from_project(self.seen()))

    def publish_and_push(self, count: int = 3) -> Version:
        """A live version with a prediction for each of some tasks in Label Studio."""
        project = self.stored()
        assert project is not None
        version = publish(self.context, project)
        push(self.label_studio, self.project_id, version.name, count)
        return version


def push(label_studio: LabelStudio, project_id: int, version: str, count: int = 3) -> None:
    label_studio.import_tasks(project_id, [{"text": f"text {n}"} for n in range(count)])
    found = [task["id"] for task in label_studio.tasks(project_id)]
    items = [{"task": one, "result": [], "score": n / 10, "model_version": version} for n, one in enumerate(found)]
    assert label_studio.import_predictions(project_id, items) == len(found)


def open_site(studio: StudioProcess, folder: Path, redis: RedisProcess, **settings: Any) -> Context:
    return a_context(folder, redis.url, label_studio_url=studio.url, label_studio_api_key=studio.api_key, **settings)


def new_project(context: Context) -> int:
    return int(context.label_studio.create_project("Connected", CONFIG)["id"])


@pytest.fixture
def site(studio: StudioProcess, tmp_path: Path, redis_server: RedisProcess) -> Iterator[Site]:
    context = open_site(studio, tmp_path, redis_server)
    with served(create_app(context, LabelLoop)) as url:
        yield Site(context, url, new_project(context))


@pytest.fixture
def guarded(studio: StudioProcess, tmp_path: Path, redis_server: RedisProcess) -> Iterator[Site]:
    """A site whose server asks for credentials."""
    context = open_site(studio, tmp_path, redis_server, basic_auth="loop:secret")
    with served(create_app(context, LabelLoop)) as url:
        yield Site(context, url, new_project(context))


def test_a_connected_project_calls_the_backend_hears_events_and_orders_its_queue(site: Site) -> None:
    outcome = connect(site.context, site.project_id, f"{site.url}/")
    [backend] = site.backends()
    assert (backend["url"], backend["state"]) == (site.url, "CO")
    [webhook] = site.webhooks()
    assert webhook["url"] == f"{site.url}/webhook"
    assert webhook["is_active"] and webhook["send_payload"] and webhook["send_for_all_actions"]
    assert site.settings() == {"sampling": UNCERTAINTY, "model_version": "", "show_collab_predictions": True}
    project = site.stored()
    assert project is not None and project.label_config == CONFIG
    assert queue_of(site.context.redis, ROUNDS).job_ids == [f"round-{project.slug}"]
    assert f"registered the backend {site.url}" in outcome.changes
    assert f"set sampling to {UNCERTAINTY} (was Sequential sampling)" in outcome.changes
    assert outcome.warnings == []


def test_connecting_again_changes_nothing(site: Site) -> None:
    connect(site.context, site.project_id, site.url)
    before = (site.settings(), [hook["id"] for hook in site.webhooks()], [one["id"] for one in site.backends()])
    assert connect(site.context, site.project_id, site.url).changes == []
    assert (site.settings(), [hook["id"] for hook in site.webhooks()], [one["id"] for one in site.backends()]) == before


def test_the_live_version_is_selected_once_label_studio_has_its_scores(site: Site) -> None:
    connect(site.context, site.project_id, site.url)
    version = site.publish_and_push()
    outcome = connect(site.context, site.project_id, site.url)
    assert outcome.changes == [f"set model_version to {version.name} (was none)"]
    assert site.seen()["model_version"] == version.name


@pytest.mark.parametrize("noted", [True, False])
def test_a_worker_quicker_than_the_registration_still_orders_the_queue(
    noted: bool, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label Studio puts the backend's title over the model version as it registers it, after a worker has switched the queue."""
    connect(site.context, site.project_id, site.url)
    title = site.backends()[0]["title"]

    def overtaken(label_studio: LabelStudio, before: dict[str, Any], *rest: Any) -> Any:
        version, project = site.publish_and_push(), site.stored()
        assert project is not None
        write_push(site.context.store, project.folder, PushState(version.name, switched=noted))
        site.label_studio.update_project(site.project_id, model_version=title)
        return settle(label_studio, before, rest[0], None)

    monkeypatch.setattr("labelloop.service.connection.settle", overtaken)
    connect(site.context, site.project_id, site.url)
    project = site.stored()
    assert project is not None
    assert site.seen()["model_version"] == site.context.versions(project).live_name()


def test_a_backend_title_gives_way_and_another_models_version_stays(site: Site) -> None:
    site.label_studio.create_ml_backend(project=site.project_id, url=site.url, title="By hand")
    assert site.seen()["model_version"] == "By hand"  # what Label Studio does by itself
    connect(site.context, site.project_id, site.url)
    assert site.seen()["model_version"] == ""
    push(site.label_studio, site.project_id, "theirs")
    site.label_studio.update_project(site.project_id, model_version="theirs")
    connect(site.context, site.project_id, site.url)
    assert site.seen()["model_version"] == "theirs"


def test_hidden_predictions_still_order_the_queue(site: Site) -> None:
    connect(site.context, site.project_id, site.url)
    version = site.publish_and_push()
    site.context.settings.blind = True
    connect(site.context, site.project_id, site.url)
    wanted = {"sampling": UNCERTAINTY, "model_version": version.name, "show_collab_predictions": False}
    assert site.settings() == wanted


def test_sampling_is_left_alone_when_the_settings_say_so(site: Site) -> None:
    site.context.settings.sampling = False
    connect(site.context, site.project_id, site.url)
    assert site.seen()["sampling"] == "Sequential sampling"


def test_a_webhook_that_is_missing_inactive_or_doubled_is_made_right(site: Site) -> None:
    connect(site.context, site.project_id, site.url)
    [webhook] = site.webhooks()
    site.label_studio.delete_webhook(webhook["id"])
    assert connect(site.context, site.project_id, site.url).changes == [f"added the webhook to {site.url}/webhook"]
    [webhook] = site.webhooks()
    site.label_studio.update_webhook(webhook["id"], url=webhook["url"], is_active=False)
    site.label_studio.create_webhook(site.project_id, f"{site.url}/webhook")
    changes = connect(site.context, site.project_id, site.url).changes
    assert changes == [
        f"mended the webhook to {site.url}/webhook: it is inactive",
        f"removed a second webhook to {site.url}/webhook, which told everything twice",
    ]
    [left] = site.webhooks()
    assert left["id"] == webhook["id"] and left["is_active"]


def test_credentials_are_set_on_the_backend_and_on_the_webhook(guarded: Site) -> None:
    connect(guarded.context, guarded.project_id, guarded.url)
    [backend] = guarded.backends()
    assert (backend["state"], backend["auth_method"], backend["basic_auth_user"]) == ("CO", "BASIC_AUTH", "loop")
    [webhook] = guarded.webhooks()
    assert webhook["headers"] == basic_header("loop:secret")
    assert connect(guarded.context, guarded.project_id, guarded.url).changes == []


def test_a_webhook_without_credentials_gets_them_and_keeps_its_other_headers(guarded: Site) -> None:
    connect(guarded.context, guarded.project_id, guarded.url)
    [webhook] = guarded.webhooks()
    guarded.label_studio.update_webhook(webhook["id"], url=webhook["url"], headers={"X-Team": "one"})
    [change] = connect(guarded.context, guarded.project_id, guarded.url).changes
    assert "LABELLOOP_BASIC_AUTH" in change and "secret" not in change
    assert guarded.webhooks()[0]["headers"] == {"X-Team": "one", **basic_header("loop:secret")}


def test_other_credentials_than_the_servers_are_told_and_nothing_is_changed(guarded: Site) -> None:
    other = Context(
        guarded.context.settings.model_copy(
            update={"basic_auth": type(guarded.context.settings.basic_auth)("loop:wrong")}
        )
    )
    before = guarded.settings()
    with pytest.raises(LabelStudioRejected, match="LABELLOOP_BASIC_AUTH") as raised:
        connect(other, guarded.project_id, guarded.url)
    assert "wrong" not in str(raised.value)
    assert (guarded.settings(), guarded.backends(), guarded.stored()) == (before, [], None)


def test_a_backend_that_does_not_answer_is_told_and_nothing_is_changed(site: Site) -> None:
    before = site.settings()
    with pytest.raises(LabelStudioRejected, match="Label Studio cannot reach a backend"):
        connect(site.context, site.project_id, "http://127.0.0.1:9")
    assert (site.settings(), site.backends(), site.webhooks(), site.stored()) == (before, [], [], None)
    with pytest.raises(LabelloopError, match="was not connected"):
        disconnect(site.context, site.project_id)


def test_a_host_without_a_dot_is_connected_without_events_and_with_advice(site: Site) -> None:
    name = socket.gethostname()
    if "." in name or socket.gethostbyname(name) != "127.0.0.1":
        pytest.skip("this machine has no name without a dot that leads to 127.0.0.1")
    outcome = connect(site.context, site.project_id, site.url.replace("127.0.0.1", name))
    assert site.backends()[0]["state"] == "CO"
    assert site.webhooks() == []
    [warning] = outcome.warnings
    assert "a name with a dot" in warning and "60 s" in warning


def test_another_backend_that_predicts_instead_is_told(site: Site) -> None:
    site.label_studio.create_ml_backend(project=site.project_id, url=f"{site.url}/", title="First come")
    with_path = site.url.replace("127.0.0.1", "localhost")
    [warning] = connect(site.context, site.project_id, with_path).warnings
    assert "2 backends" in warning and "'First come'" in warning


def test_a_new_address_moves_the_backend_and_its_webhook(site: Site) -> None:
    connect(site.context, site.project_id, site.url)
    moved = site.url.replace("127.0.0.1", "localhost")
    connect(site.context, site.project_id, moved)
    assert [backend["url"] for backend in site.backends()] == [moved]
    assert [webhook["url"] for webhook in site.webhooks()] == [f"{moved}/webhook"]


def test_disconnecting_undoes_what_connecting_did(site: Site) -> None:
    push(site.label_studio, site.project_id, "theirs")
    site.label_studio.update_project(site.project_id, model_version="theirs", show_collab_predictions=True)
    site.label_studio.create_webhook(site.project_id, "http://127.0.0.1:9/elsewhere")
    before = site.settings()
    site.context.settings.blind = True
    connect(site.context, site.project_id, site.url)
    site.publish_and_push()
    connect(site.context, site.project_id, site.url)
    assert site.settings() != before
    outcome = disconnect(site.context, site.project_id)
    assert site.settings() == before
    assert site.backends() == []
    assert [webhook["url"] for webhook in site.webhooks()] == ["http://127.0.0.1:9/elsewhere"]
    assert site.stored() is None
    assert f"removed the backend {site.url}" in outcome.changes
    assert outcome.warnings == []
    with pytest.raises(LabelloopError, match="was not connected"):
        disconnect(site.context, site.project_id)


def test_a_project_is_not_served_again_while_it_is_disconnected(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def after_the_server_has_seen_it_gone(context: Context, project: Project) -> list[str]:
        time.sleep(3 * REFRESH_EVERY)
        return []

    caplog.set_level(logging.INFO)
    monkeypatch.setattr("labelloop.service.disconnection._let_work_end", after_the_server_has_seen_it_gone)
    connect(site.context, site.project_id, site.url)
    name = site.publish_and_push().name
    wait_for(lambda: f"{name} is served here" in caplog.text)
    disconnect(site.context, site.project_id)
    time.sleep(3 * REFRESH_EVERY)
    assert caplog.text.count(f"{name} is served here") == 1


def test_disconnecting_leaves_what_people_have_set_since(site: Site) -> None:
    connect(site.context, site.project_id, site.url)
    push(site.label_studio, site.project_id, "theirs")
    site.label_studio.update_project(site.project_id, sampling="Uniform sampling", model_version="theirs")
    disconnect(site.context, site.project_id)
    assert (site.seen()["sampling"], site.seen()["model_version"]) == ("Uniform sampling", "theirs")


def test_a_former_version_that_is_gone_is_not_selected_again(site: Site) -> None:
    push(site.label_studio, site.project_id, "theirs")
    site.label_studio.update_project(site.project_id, model_version="theirs")
    connect(site.context, site.project_id, site.url)
    site.publish_and_push()
    connect(site.context, site.project_id, site.url)
    site.label_studio.delete_model_version(site.project_id, "theirs")
    [warning] = disconnect(site.context, site.project_id).warnings
    assert "'theirs'" in warning
    assert site.seen()["model_version"] == ""


def test_disconnecting_lets_a_worker_end_and_says_when_it_does_not(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labelloop.service.disconnection.WORK_PATIENCE", 0.3)
    connect(site.context, site.project_id, site.url)
    [job] = queue_of(site.context.redis, ROUNDS).jobs
    job.set_status(JobStatus.STARTED)
    [warning] = disconnect(site.context, site.project_id).warnings
    assert "busy" in warning
    assert site.backends() == []


def test_a_connection_cut_short_is_taken_up_with_the_settings_of_before(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = site.settings()
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr("labelloop.service.connection.settle", interrupt)
        connect(site.context, site.project_id, site.url)
    assert site.seen()["model_version"] == "Labelloop"  # what Label Studio did by itself
    with pytest.raises(LabelStudioRejected):
        connect(site.context, site.project_id, "http://127.0.0.1:9")
    connect(site.context, site.project_id, site.url)
    disconnect(site.context, site.project_id)
    assert site.settings() == before


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_deleted_project_can_be_disconnected(site: Site) -> None:
    connect(site.context, site.project_id, site.url)
    site.label_studio.delete(f"/api/projects/{site.project_id}/")
    assert disconnect(site.context, site.project_id).changes == ["the project is no longer served"]
    assert site.context.projects.all() == []


def test_a_project_that_is_not_there_and_an_address_that_is_none_are_told(site: Site) -> None:
    with pytest.raises(LabelStudioRejected, match="no project 987654"):
        connect(site.context, 987654, site.url)
    with pytest.raises(SettingsError, match="is not an address"):
        connect(site.context, site.project_id, "127.0.0.1:9090")


def test_a_wrong_token_is_told(site: Site, tmp_path: Path, redis_server: RedisProcess) -> None:
    settings = {"label_studio_url": site.label_studio.url, "label_studio_api_key": "0123456789abcdef"}
    with pytest.raises(LabelStudioDenied):
        connect(a_context(tmp_path, redis_server.url, **settings), site.project_id, site.url)
