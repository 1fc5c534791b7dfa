"""A round whose labelling is done starts no training by itself, says so, and still trains when it is asked to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labelloop.service.context import Context
from labelloop.service.projects import Project
from labelloop.service.report import report_on
from labelloop.service.round import run_round
from labelloop.service.state import read_state
from support.annotating import TEXT_CONFIG, sentences
from support.redis_process import RedisProcess
from support.serving import a_context, a_project

CREATED = "2026-11-20T10:02:13.000000Z"


class PaperStudio:
    """A project on paper, as far as a round asks for it: its record and its tasks with their labels."""

    def __init__(self, key: str, count: int = 60) -> None:
        self.key = key
        self.texts = sentences(count)
        self.labelled = 0

    def project(self, project_id: int) -> dict[str, Any]:
        return {
            "id": project_id, "created_at": CREATED, "title": "paper", "label_config": TEXT_CONFIG,
            "maximum_annotations": 1, "task_number": len(self.texts), "total_annotations_number": self.labelled,
            "num_tasks_with_annotations": self.labelled, "skipped_annotations_number": 0,
            "sampling": "Uncertainty sampling", "model_version": None,
        }  # fmt: skip

    def tasks(self, project_id: int, *, updated_since: str | None = None) -> Iterator[dict[str, Any]]:
        for number, (text, topic) in enumerate(self.texts, start=1):
            region = {"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": [topic]}}
            annotation = {"id": number, "updated_at": CREATED, "result": [region], "lead_time": 36.0}
            answers = [annotation] if number <= self.labelled else []
            yield {"id": number, "data": {"text": text}, "updated_at": CREATED, "annotations": answers}


@pytest.fixture
def studio() -> PaperStudio:
    return PaperStudio("4")


def opened(folder: Path, redis: RedisProcess, studio: PaperStudio, **settings: Any) -> tuple[Context, Project]:
    from labelloop.labelstudio import ProjectKey

    context = a_context(folder, redis.url, train_after=5, text_backbone="plain", stop_when_done=True, **settings)
    vars(context)["label_studio"] = studio
    key = ProjectKey.from_project(studio.project(4))
    return context, a_project(context, TEXT_CONFIG, str(key))


def label(context: Context, project: Project, studio: PaperStudio, count: int, *, force: bool = False) -> str:
    """Label tasks up to that many and do a round; returns the live version."""
    studio.labelled = count
    run_round(context, project, lambda step, done, total: None, force=force)
    return context.versions(project).live_name() or ""


def test_a_spent_budget_stops_trainings_once_its_labels_are_learnt(
    tmp_path: Path, redis_server: RedisProcess, studio: PaperStudio
) -> None:
    context, project = opened(tmp_path, redis_server, studio, label_budget=20)
    versions = [label(context, project, studio, count) for count in (12, 20, 30)]
    assert len(set(versions)) == 2
    assert versions[1] == versions[2]
    live = context.versions(project).live()
    assert live is not None and live.labels + live.holdout == 20
    report = report_on(context, project)
    assert report.stopping.verdict == "budget_spent"
    assert "20 of 20 labels" in report.stopped
    assert report.changes == 10
    assert read_state(context.store, project.folder).hours == pytest.approx(0.3)

    assert label(context, project, studio, 30, force=True) != versions[2]


def test_a_target_that_is_raised_lets_trainings_start_again(
    tmp_path: Path, redis_server: RedisProcess, studio: PaperStudio
) -> None:
    context, project = opened(tmp_path, redis_server, studio, target_accuracy=0.3)
    first = label(context, project, studio, 30)
    assert label(context, project, studio, 40) == first
    assert "target of 30.0%" in report_on(context, project).stopped
    context.settings = context.settings.model_copy(update={"target_accuracy": 1.0})
    assert label(context, project, studio, 40) != first
    assert report_on(context, project).stopped == ""


def test_trainings_go_on_where_nobody_asked_to_stop(
    tmp_path: Path, redis_server: RedisProcess, studio: PaperStudio
) -> None:
    context, project = opened(tmp_path, redis_server, studio, label_budget=12)
    context.settings = context.settings.model_copy(update={"stop_when_done": False})
    assert label(context, project, studio, 12) != label(context, project, studio, 20)
    assert report_on(context, project).stopping.verdict == "budget_spent"
