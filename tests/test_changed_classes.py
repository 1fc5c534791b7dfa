"""The classes of a config change in the middle of a project of regions: from the next request on, and after the next round."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from label_studio_sdk.label_interface import LabelInterface

from labelloop.labelstudio import ProjectKey
from labelloop.learning.boxes import fitting as boxes_fitting
from labelloop.learning.masks import fitting as masks_fitting
from labelloop.service.book import read_book
from labelloop.service.context import Context
from labelloop.service.endpoint import Endpoint
from labelloop.service.projects import Project
from labelloop.service.publisher import push_is_due
from labelloop.service.state import read_state
from support.annotating import TEXT_CONFIG
from support.kinds import KINDS, Answer, Made
from support.paper import CREATED, PaperStudio, label, opened
from support.redis_process import RedisProcess
from support.serving import a_context, a_project

BEFORE, AFTER, COUNT = 12, 24, 30
REGIONS = ["boxes", "brush"]


class PicturesOnPaper(PaperStudio):
    """Tasks of a kind of project; what is answered after a change is answered in other words."""

    def __init__(self, made: Made) -> None:
        super().__init__("4", COUNT)
        self.made, self.config = made, made.config
        self.url = "http://127.0.0.1:9"
        self.words: dict[str, str] = {}

    def project(self, project_id: int) -> dict[str, Any]:
        return {**super().project(project_id), "label_config": self.config}

    def tasks(self, project_id: int, *, updated_since: str | None = None) -> Iterator[dict[str, Any]]:
        for number in range(COUNT):
            data, said = self.made.item(number)
            answer = {"id": number + 1, "updated_at": CREATED, "result": self._said(number, said), "lead_time": 1.0}
            answers = [answer] if number < self.labelled else []
            yield {"id": number + 1, "data": data, "updated_at": CREATED, "annotations": answers}

    def _said(self, number: int, said: Answer) -> Answer:
        text = json.dumps(said)
        words = self.words if number >= BEFORE else {}
        for old, new in words.items():
            text = text.replace(f'"{old}"', f'"{new}"')
        answer: Answer = json.loads(text)
        return answer


@pytest.fixture(params=REGIONS)
def studio(request: pytest.FixtureRequest) -> PicturesOnPaper:
    return PicturesOnPaper(KINDS[request.param])


@pytest.fixture
def site(
    tmp_path: Path, redis_server: RedisProcess, studio: PicturesOnPaper, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Context, Project]]:
    """A project with a version of the first labels, whose squares are easily told apart."""
    monkeypatch.setattr(boxes_fitting, "LEAST_VISITS", 300)
    monkeypatch.setattr(masks_fitting, "STEPS", 150)
    context = a_context(tmp_path, redis_server.url, train_after=5, image_backbone="plain")
    vars(context)["label_studio"] = studio
    project = a_project(context, studio.config, str(ProjectKey.from_project(studio.project(4))))
    label(context, project, studio, BEFORE)
    yield context, project
    context.redis.close()


def found(context: Context, project: Project, studio: PicturesOnPaper) -> set[str]:
    """The classes of the regions that /predict answers the unlabelled tasks with, valid for the config as it is now."""
    endpoint = Endpoint(context)
    endpoint.start()
    try:
        tasks = [task for task in studio.tasks(4) if task["id"] > AFTER]
        answers: list[Any] = endpoint.predict(tasks, str(project.key), studio.config)
    finally:
        endpoint.stop()
    interface = LabelInterface(studio.config)
    assert all(interface.validate_prediction(answer, return_errors=True) == [] for answer in answers)
    regions = [region for answer in answers for region in answer["result"]]
    return {name for region in regions for name in region["value"].get(region["type"], ())}


def test_classes_are_lost_at_once_and_gained_once_they_are_used(
    site: tuple[Context, Project], studio: PicturesOnPaper
) -> None:
    context, project = site
    assert found(context, project, studio) == {"light", "dark"}
    for tag in ("Label", "Choice"):
        renamed, added = (f'<{tag} value="{name}"/>' for name in ("black", "grey"))
        studio.config = studio.config.replace(f'<{tag} value="dark"/>', renamed + added)
    assert found(context, project, studio) == {"light"}

    studio.words = {"dark": "black"}
    label(context, project, studio, AFTER)
    live = context.versions(project).live()
    assert live is not None
    assert live.learners[0].classes == ("light", "black", "grey")
    assert found(context, project, studio) == {"light", "black"}
    assert any("'dark'" in note for note in read_state(context.store, project.folder).set_aside)


def ask_for(studio: PaperStudio, label_config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change the label config of the project."""
    record = studio.project(4)
    monkeypatch.setattr(studio, "project", lambda _: {**record, "label_config": label_config})


def test_predictions_that_name_lost_classes_are_replaced_where_nothing_can_be_trained(
    tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one class left there is nothing to tell apart, and Label Studio keeps what it holds under a version's name."""
    studio = PaperStudio("4")
    context, project = opened(tmp_path, redis_server, studio)
    before = label(context, project, studio, BEFORE)
    ask_for(studio, TEXT_CONFIG.replace('"food"', '"meals"').replace('"travel"', '"trips"'), monkeypatch)
    after = label(context, project, studio, BEFORE)
    assert after != before
    live, state = context.versions(project).live(), read_state(context.store, project.folder)
    assert live is not None
    assert live.learners[0].classes == ("weather", "food", "travel")
    assert live.reason == "'topic' stays as it was."
    assert "two classes" in state.waiting_for
    assert label(context, project, studio, BEFORE) == after
    context.redis.close()


def test_a_control_of_another_kind_under_its_name_no_longer_shows_what_was_learnt(
    tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label Studio shows what it holds of the version that the project selects, which is replaced under a new name alone."""
    studio = PaperStudio("4")
    context, project = opened(tmp_path, redis_server, studio)
    before = label(context, project, studio, BEFORE)
    rated = '<View><Text name="text" value="$text"/><Rating name="topic" toName="text"/></View>'
    ask_for(studio, rated, monkeypatch)
    after = label(context, project, studio, BEFORE)

    live = context.versions(project).live()
    assert live is not None
    assert live.name == after != before
    assert [(one.control.name, one.kind) for one in live.learners] == [("topic", "")]
    assert push_is_due(context, project, read_book(context.store, project.folder))
    assert label(context, project, studio, BEFORE) == after
    context.redis.close()
