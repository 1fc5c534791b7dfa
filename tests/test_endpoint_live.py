"""How what other processes publish comes to be served, and what happens while the store cannot be read."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labelloop.errors import StoreError
from labelloop.labelstudio import ProjectKey
from labelloop.service.context import Context
from labelloop.service.endpoint import Endpoint
from labelloop.service.store import Store
from support.redis_process import RedisProcess
from support.serving import CONFIG, KEY, a_context, a_project, publish, tasks, texts, wait_for


@pytest.fixture
def context(tmp_path: Path, redis_server: RedisProcess) -> Context:
    return a_context(tmp_path, redis_server.url)


@pytest.fixture
def endpoint(context: Context) -> Iterator[Endpoint]:
    endpoint = Endpoint(context)
    endpoint.start()
    yield endpoint
    endpoint.stop()


def version_of(endpoint: Endpoint) -> str:
    return str(endpoint.setup(KEY, None)["model_version"])


def test_a_version_published_elsewhere_is_served_within_a_second(context: Context, endpoint: Endpoint) -> None:
    project = a_project(context)
    for _ in range(3):
        name = publish(context, project).name
        wait_for(lambda name=name: version_of(endpoint) == name, seconds=1.0)


def test_a_rollback_is_served_within_a_second(context: Context, endpoint: Endpoint) -> None:
    project = a_project(context)
    old, new = publish(context, project), publish(context, project)
    wait_for(lambda: version_of(endpoint) == new.name, seconds=2.0)
    context.versions(project).make_live(old.name)
    wait_for(lambda: version_of(endpoint) == old.name, seconds=1.0)


def test_features_computed_elsewhere_are_used(
    context: Context, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = a_project(context)
    publish(context, project, cached=10)
    monkeypatch.setattr(
        "labelloop.service.ondemand.OnDemand.features", lambda self, r, c, items, d: [None] * len(items)
    )
    late = tasks([texts(20)[19][0]])
    wait_for(lambda: version_of(endpoint) != "untrained")
    assert endpoint.predict(late, KEY, CONFIG) == [[]]
    publish(context, project, cached=20)
    wait_for(lambda: endpoint.predict(late, KEY, CONFIG) != [[]], seconds=2.0)


def test_the_first_answers_after_a_start_know_the_live_version(context: Context) -> None:
    name = publish(context, a_project(context)).name
    endpoint = Endpoint(context)
    endpoint.start()
    assert version_of(endpoint) == name
    endpoint.stop()


def test_setup_makes_a_project_known_in_the_background(context: Context, endpoint: Endpoint) -> None:
    endpoint.setup(KEY, CONFIG)
    wait_for(lambda: context.projects.get(ProjectKey.parse(KEY)), seconds=1.0)
    endpoint.setup(KEY, CONFIG.replace("bird", "fish"))
    wait_for(lambda: "fish" in context.projects.get(ProjectKey.parse(KEY)).label_config, seconds=1.0)  # type: ignore[union-attr]


def test_a_project_heard_of_while_the_store_is_away_is_remembered_later(
    context: Context, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Store, "write", _away)
        endpoint.setup(KEY, CONFIG)
        time.sleep(0.6)
        assert context.projects.get(ProjectKey.parse(KEY)) is None
    wait_for(lambda: context.projects.get(ProjectKey.parse(KEY)), seconds=2.0)


def _away(*args: object) -> None:
    raise StoreError("The store is away, on purpose.")


def test_an_event_of_an_impossible_project_leaves_the_others_served(context: Context, endpoint: Endpoint) -> None:
    project = {"id": 10**300, "created_at": "2026-11-23T22:18:53Z", "label_config": CONFIG}
    endpoint.event({"action": "PROJECT_UPDATED", "project": project})
    name = publish(context, a_project(context)).name
    wait_for(lambda: version_of(endpoint) == name, seconds=2.0)


def test_a_store_that_hangs_holds_nothing_up(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    name = publish(context, a_project(context)).name
    endpoint = Endpoint(context)
    endpoint.start()
    released = threading.Event()
    hangs = threading.Event()

    def hang(*args: object) -> None:
        hangs.set()
        released.wait(20)

    monkeypatch.setattr(Store, "read", hang)
    monkeypatch.setattr(Store, "names", hang)
    hangs.wait(5)
    started = time.perf_counter()
    for _ in range(100):
        assert endpoint.setup(KEY, CONFIG.replace("bird", "fish")) == {"model_version": name}
        endpoint.health()
        endpoint.versions()
    assert time.perf_counter() - started < 0.5
    assert endpoint.predict(tasks([texts(1)[0][0]]), KEY, CONFIG) != [[]]
    released.set()
    endpoint.stop()


def test_a_version_that_cannot_be_loaded_leaves_the_last_one_in_place(
    context: Context, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    project, other = a_project(context), a_project(context, key="5.1795472334")
    good = publish(context, project)
    wait_for(lambda: version_of(endpoint) == good.name)
    context.store.write(f"{project.folder}/versions/v9-damaged/manifest.json", b"{}")
    context.store.write_json(f"{project.folder}/live.json", {"version": "v9-damaged"})
    wait_for(lambda: "v9-damaged" in caplog.text, seconds=2.0)
    assert version_of(endpoint) == good.name
    cold = publish(context, other, stage="cold")
    wait_for(lambda: endpoint.setup("5.1795472334", None)["model_version"] == cold.name, seconds=2.0)
    assert caplog.text.count("v9-damaged") == 1


def test_damaged_features_leave_those_seen_before_in_place(
    context: Context, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    project = a_project(context)
    name = publish(context, project).name
    wait_for(lambda: version_of(endpoint) == name)
    (folder,) = (Path(context.store.location) / project.folder / "features").iterdir()
    (folder / "damaged.safetensors").write_bytes(b"half a shard")
    wait_for(lambda: "damaged.safetensors is damaged" in caplog.text, seconds=2.0)
    assert endpoint.predict(tasks([texts(1)[0][0]]), KEY, CONFIG) != [[]]


def test_versions_are_listed_newest_first(context: Context, endpoint: Endpoint) -> None:
    project = a_project(context)
    old, new = publish(context, project), publish(context, project)
    other = publish(context, a_project(context, key="5.1795472334"), stage="cold")
    wait_for(lambda: version_of(endpoint) == new.name)
    wait_for(lambda: other.name in endpoint.versions()["versions"])
    assert endpoint.versions(KEY) == {"versions": [new.name, old.name]}
    assert set(endpoint.versions()["versions"]) == {old.name, new.name, other.name}
    assert endpoint.versions("99.1") == {"versions": []}


def test_a_forgotten_project_is_no_longer_served(
    context: Context, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="labelloop")
    project = a_project(context)
    name = publish(context, project).name
    wait_for(lambda: version_of(endpoint) == name)
    context.projects.forget(project.slug)
    wait_for(lambda: version_of(endpoint) == "untrained", seconds=2.0)
    assert caplog.messages.count("Project 4 is served no longer") == 1


def test_a_project_that_was_forgotten_is_served_when_it_is_heard_of_again(context: Context, endpoint: Endpoint) -> None:
    endpoint.setup(KEY, CONFIG)
    key = ProjectKey.parse(KEY)
    wait_for(lambda: context.projects.get(key), seconds=1.0)
    name = publish(context, context.projects.get(key)).name
    wait_for(lambda: version_of(endpoint) == name)
    context.projects.forget(context.projects.slug(key))
    wait_for(lambda: version_of(endpoint) == "untrained", seconds=2.0)

    endpoint.setup(KEY, CONFIG)
    wait_for(lambda: version_of(endpoint) == name, seconds=2.0)
