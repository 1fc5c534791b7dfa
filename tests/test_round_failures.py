"""What a round does about a control that cannot be learnt."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labelloop.errors import LearningError
from labelloop.service import round as rounds
from labelloop.service.context import Context
from labelloop.service.projects import Project
from labelloop.service.state import read_state
from support.paper import PaperStudio, label, opened
from support.redis_process import RedisProcess


@pytest.fixture
def studio() -> PaperStudio:
    return PaperStudio("4")


@pytest.fixture
def site(tmp_path: Path, redis_server: RedisProcess, studio: PaperStudio) -> Iterator[tuple[Context, Project]]:
    context, project = opened(tmp_path, redis_server, studio)
    yield context, project
    context.redis.close()


def lacking(*_: Any) -> None:
    raise LearningError("A library is not installed.")


def test_what_was_never_learnt_is_told_of_and_stops_no_round(
    site: tuple[Context, Project], studio: PaperStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, project = site
    with monkeypatch.context() as patch:
        patch.setattr(rounds, "train_control", lacking)
        before = label(context, project, studio, 12)
    told = read_state(context.store, project.folder)
    assert told.waiting_for == "'topic' is not learnt: A library is not installed."
    assert told.last_training.endswith(told.waiting_for)
    assert label(context, project, studio, 24) != before, "it is learnt as soon as it can be"


def test_what_is_live_is_not_given_up_for_a_failure(
    site: tuple[Context, Project], studio: PaperStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, project = site
    live = label(context, project, studio, 12)
    monkeypatch.setattr(rounds, "train_control", lacking)
    with pytest.raises(LearningError):
        label(context, project, studio, 24)
    assert context.versions(project).live_name() == live
