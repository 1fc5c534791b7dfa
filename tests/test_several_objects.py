"""Tasks of several objects: what holds of one does not hold of the others."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labelloop.service.context import Context
from labelloop.service.projects import Project
from labelloop.service.publisher import _Push
from labelloop.service.push_state import PushState, write_push
from labelloop.service.state import read_state
from support.paper import CREATED, PaperStudio, label, opened
from support.redis_process import RedisProcess

HEADS = '<Text name="head" value="$head"/><Choices name="heads" toName="head"><Choice value="food"/><Choice value="sport"/></Choices>'
BODIES = HEADS.replace("head", "body").replace("bodys", "bodies")


class TwoTexts(PaperStudio):
    """Tasks of a head and a body, both labelled; every third head is empty."""

    config = f"<View>{HEADS}{BODIES}</View>"

    def project(self, project_id: int) -> dict[str, Any]:
        return {**super().project(project_id), "label_config": self.config}

    def tasks(self, project_id: int, *, updated_since: str | None = None) -> Iterator[dict[str, Any]]:
        for number in range(1, len(self.texts) + 1):
            topic = ("food", "sport")[number % 2]
            said = [
                {"from_name": name, "to_name": to, "type": "choices", "value": {"choices": [topic]}}
                for name, to in (("heads", "head"), ("bodies", "body"))
                if f'name="{name}"' in self.config
            ]
            answers = [{"id": number, "updated_at": CREATED, "result": said, "lead_time": 1.0}]
            data = {"head": f"{topic} head {number}" if number % 3 else "", "body": f"{topic} body {number}"}
            labelled = number <= self.labelled
            yield {"id": number, "data": data, "updated_at": CREATED, "annotations": answers if labelled else []}


@pytest.fixture
def studio() -> TwoTexts:
    return TwoTexts("4")


@pytest.fixture
def site(tmp_path: Path, redis_server: RedisProcess, studio: TwoTexts) -> Iterator[tuple[Context, Project]]:
    context, project = opened(tmp_path, redis_server, studio)
    yield context, project
    context.redis.close()


def _predicted(context: Context, project: Project) -> dict[str, int]:
    """For how many tasks of the queue each control has a prediction, once all are scored."""
    project = context.projects.get(project.key) or project
    version = context.versions(project).live()
    assert version is not None
    write_push(context.store, project.folder, PushState(version.name, certain=True))  # Label Studio holds nothing yet
    push = _Push(context, project, version, lambda *_: None)
    for _ in range(3):
        push.prepare()
    found = list(push._predicted.values())
    assert len(push._state.scores) == 36
    return {name: sum(name in said for said in found) for name in ("heads", "bodies")}


def test_what_cannot_be_read_of_a_task_costs_its_other_objects_nothing(
    site: tuple[Context, Project], studio: TwoTexts
) -> None:
    context, project = site
    live = label(context, project, studio, 24)
    learnt = context.versions(project).labels(live)["labels"]

    assert {name: len(labels) for name, labels in learnt.items()} == {"heads": 16, "bodies": 24}
    assert _predicted(context, project) == {"heads": 24, "bodies": 36}
    assert {of for _, of in read_state(context.store, project.folder).broken} == {"text:head"}


def test_a_control_that_comes_later_gets_predictions_of_what_waits(
    site: tuple[Context, Project], studio: TwoTexts
) -> None:
    context, project = site
    studio.config = f"<View>{BODIES}</View>"
    label(context, project, studio, 24)
    assert _predicted(context, project) == {"heads": 0, "bodies": 36}

    studio.config = f"<View>{BODIES}{HEADS}</View>"
    label(context, project, studio, 24, force=True)
    assert _predicted(context, project) == {"heads": 24, "bodies": 36}
