"""The classes of boxes, areas and spans change in the middle of a project of a real Label Studio."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labelloop.labelstudio import ProjectKey
from labelloop.learning.boxes import fitting as boxes_fitting
from labelloop.learning.masks import fitting as masks_fitting
from labelloop.service.context import Context
from labelloop.service.projects import Project
from labelloop.service.round import run_round
from labelloop.service.state import read_state
from support.kinds import PARTS, KindJob, make_job_of
from support.loop_process import label_studio_of
from support.redis_process import RedisProcess
from support.served import assert_predictions_are_valid
from support.serving import a_context, a_project, push_all
from support.studio_process import StudioProcess

pytestmark = pytest.mark.studio

ANSWERED, COUNT = 12, 36


@dataclass
class Site:
    """A project whose rounds are done here, one after the other."""

    context: Context
    project: Project
    job: KindJob

    def round(self) -> dict[str, set[str]]:
        """The classes, by control, that Label Studio holds predictions of once a round and its push are done."""
        run_round(self.context, self.project, _unheard)
        project = self.context.projects.get(self.project.key)
        assert project is not None
        push_all(self.context, project)
        name = self.job.label_studio.project(self.job.project_id)["model_version"]
        assert name == self.context.versions(project).live_name()
        assert_predictions_are_valid(self.job, name, said=1 / 3)
        found: dict[str, set[str]] = {}
        for prediction in self.job.predictions(name):
            for region in prediction["result"]:
                found.setdefault(region["from_name"], set()).update(region["value"][region["type"]])
        return found


@pytest.fixture
def site(
    tmp_path: Path, redis_server: RedisProcess, studio: StudioProcess, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    monkeypatch.setattr(boxes_fitting, "LEAST_VISITS", 150)
    monkeypatch.setattr(masks_fitting, "STEPS", 80)
    context = a_context(
        tmp_path,
        redis_server.url,
        label_studio_url=studio.url,
        label_studio_api_key=studio.api_key,
        train_after=ANSWERED,
        image_backbone="plain",
        text_backbone="plain",
    )
    job = make_job_of(label_studio_of(studio), PARTS, "regions", COUNT)
    key = ProjectKey.from_project(job.label_studio.project(job.project_id))
    yield Site(context, a_project(context, PARTS.config, str(key)), job)
    context.redis.close()


def test_classes_are_lost_at_once_and_gained_once_they_are_used(site: Site) -> None:
    job, ids = site.job, list(site.job.truth)
    job.answer(ids[:ANSWERED])
    shades = {"light", "dark"}
    assert site.round() == {"squares": shades, "areas": shades, "names": {"PER", "LOC"}}

    job.rename({"dark": "black", "LOC": "PLACE"})
    assert site.round() == {"squares": {"light"}, "areas": {"light"}, "names": {"PER"}}
    notes = read_state(site.context.store, site.project.folder).set_aside
    assert [sum(repr(lost) in note for note in notes) for lost in ("dark", "LOC")] == [2, 1]

    job.answer(ids[ANSWERED : 2 * ANSWERED])
    shades = {"light", "black"}
    assert site.round() == {"squares": shades, "areas": shades, "names": {"PER", "PLACE"}}


def _unheard(step: str, done: int, total: int) -> None:
    pass
