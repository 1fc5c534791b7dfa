"""The HTTP edge as a real Label Studio uses it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from labelloop.hooks import LabelLoop
from labelloop.labelstudio import LabelStudio, ProjectKey
from labelloop.service.app import create_app
from labelloop.service.context import Context
from labelloop.service.marks import Mark, Marks
from labelloop.service.projects import Project
from labelloop.service.queueing import ROUNDS, queue_of
from labelloop.service.ticker import Ticker
from support.redis_process import RedisProcess
from support.serving import CONFIG, a_context, publish, served, texts, wait_for
from support.studio_process import StudioProcess

pytestmark = pytest.mark.studio
TITLE = "Labelloop"


@dataclass
class Site:
    """A project of a Label Studio, connected to a server of ours that has a trained version."""

    context: Context
    project: Project
    backend_id: int
    tasks: list[int]

    @property
    def id(self) -> int:
        return self.project.key.id

    @property
    def label_studio(self) -> LabelStudio:
        return self.context.label_studio

    def backend(self) -> dict[str, Any]:
        found: dict[str, Any] = self.label_studio.get(f"/api/ml/{self.backend_id}")
        return found

    def predictions(self, task_id: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.label_studio.get("/api/predictions", params={"task": task_id})
        return found

    def retrieve(self, tasks: list[int]) -> None:
        """What the Data Manager's "Retrieve predictions" does."""
        selected = {"selectedItems": {"all": False, "included": tasks}}
        query = {"id": "retrieve_tasks_predictions", "project": self.id}
        self.label_studio.post("/api/dm/actions", selected, params=query)

    def marks(self) -> Marks:
        return Marks(self.context.redis, self.project.slug)

    def mark_after(self, noted: int) -> Mark:
        """The hints, once so many changes or arrivals have been noted."""
        wait_for(lambda: self.marks().read().changes + self.marks().read().arrivals >= noted, seconds=5)
        return self.marks().read()

    def rounds(self) -> list[str]:
        return list(queue_of(self.context.redis, ROUNDS).job_ids)


@pytest.fixture(scope="module")
def _redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path_factory.mktemp("redis"))
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def _site(studio: StudioProcess, _redis: RedisProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    context = a_context(folder, _redis.url, label_studio_url=studio.url, label_studio_api_key=studio.api_key)
    label_studio = context.label_studio
    made = label_studio.create_project("Contract", CONFIG)
    label_studio.import_tasks(made["id"], [{"text": text} for text, _ in texts(8)] + [{"text": " "}])
    project = context.projects.register(ProjectKey.from_project(made), CONFIG, "Contract")
    publish(context, project)
    with pytest.MonkeyPatch.context() as patched, served(create_app(context, LabelLoop)) as url:
        patched.setattr(Ticker, "beat", lambda self, now: None)  # each round must come from an event
        backend = label_studio.create_ml_backend(url=url, project=made["id"], title=TITLE, is_interactive=True)
        yield Site(context, project, backend["id"], [task["id"] for task in label_studio.tasks(made["id"])])


@pytest.fixture
def site(_site: Site) -> Site:
    """The site with no hint and no round waiting."""
    _site.context.redis.flushall()
    return _site


def test_connecting_finds_us_up_and_names_our_version(site: Site) -> None:
    backend = site.backend()
    assert backend["state"] == "CO"
    assert backend["model_version"] == site.context.versions(site.project).live_name()
    assert [hook["url"] for hook in site.label_studio.webhooks(site.id)] == [backend["url"].rstrip("/") + "/webhook"]


def test_versions_are_listed(site: Site) -> None:
    answer = site.label_studio.get(f"/api/ml/{site.backend_id}/versions")
    assert answer["versions"] == [version.name for version in site.context.versions(site.project).all()]


def test_opening_a_task_stores_our_prediction(site: Site) -> None:
    site.label_studio.task(site.tasks[0])
    (stored,) = site.predictions(site.tasks[0])
    assert stored["model_version"] == site.backend()["model_version"]
    assert 0.0 <= stored["score"] <= 1.0
    assert stored["result"][0]["value"]["choices"] == [texts(1)[0][1]]


def test_a_task_we_cannot_predict_opens_all_the_same(site: Site) -> None:
    assert site.label_studio.task(site.tasks[-1])["predictions"] == []


def test_retrieving_predictions_leaves_one_a_task_and_version(site: Site) -> None:
    *readable, unreadable = site.tasks
    for _ in range(2):
        site.retrieve(site.tasks)
        assert [len(site.predictions(task)) for task in readable] == [1] * len(readable)
    assert site.predictions(unreadable) == []
    before = site.backend()["model_version"]
    name = publish(site.context, site.project).name
    wait_for(lambda: site.backend()["model_version"] == name, seconds=5)
    site.retrieve(site.tasks)
    assert {stored["model_version"] for stored in site.predictions(readable[0])} == {before, name}


def test_interactive_annotating_shows_our_prediction(site: Site) -> None:
    path = f"/api/ml/{site.backend_id}/interactive-annotating"
    for task, shown in ((site.tasks[0], 1), (site.tasks[-1], 0)):
        answer = site.label_studio.post(path, {"task": task, "context": {"result": []}})
        assert len(answer["data"]["result"]) == shown


def test_each_annotation_is_noted_and_a_skip_is_not(site: Site) -> None:
    region = {"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": ["fruit"]}}
    made = site.label_studio.annotate(site.tasks[1], [region])
    assert site.mark_after(1).changes == 1
    heard = site.marks().heard()
    site.label_studio.annotate(site.tasks[2], [], was_cancelled=True)
    wait_for(lambda: site.marks().heard() > heard, seconds=5)
    assert site.marks().read().changes == 1
    site.label_studio.patch(f"/api/annotations/{made['id']}/", {"result": [region]})
    assert site.mark_after(2).full is False
    site.label_studio.delete(f"/api/annotations/{made['id']}/")
    mark = site.mark_after(3)
    assert (mark.changes, mark.full) == (3, True)
    assert site.rounds() == []


def test_new_tasks_are_noted(site: Site) -> None:
    site.label_studio.import_tasks(site.id, [{"text": "one more"}, {"text": "and another"}])
    assert site.mark_after(2).arrivals == 2


def test_the_training_button_asks_for_a_round(site: Site) -> None:
    site.label_studio.post(f"/api/ml/{site.backend_id}/train", {})
    assert len(site.rounds()) == 1
    assert site.marks().read().force


def test_our_own_change_of_the_project_starts_nothing(site: Site) -> None:
    heard = site.marks().heard()
    site.label_studio.update_project(site.id, sampling="Uncertainty sampling")
    wait_for(lambda: site.marks().heard() > heard, seconds=5)
    assert not site.marks().read()
    assert site.rounds() == []


def test_a_new_class_in_the_config_starts_a_round(site: Site) -> None:
    site.label_studio.update_project(site.id, label_config=CONFIG.replace('"bird"/>', '"bird"/><Choice value="fish"/>'))
    wait_for(site.rounds, seconds=5)
    assert site.marks().read().force
    site.label_studio.update_project(site.id, label_config=CONFIG)
