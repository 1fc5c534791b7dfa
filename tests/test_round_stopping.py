"""A round whose labelling is done starts no training by itself, says so, and still trains when it is asked to."""

from pathlib import Path

import pytest

from labelloop.service.report import report_on
from labelloop.service.state import read_state
from support.paper import PaperStudio, label, opened
from support.redis_process import RedisProcess


@pytest.fixture
def studio() -> PaperStudio:
    return PaperStudio("4")


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
