"""What a round does about what fails: a control that cannot be learnt, a project that is away, another job."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labelloop.errors import LabelloopError, LabelStudioRejected, LearningError, StoreError
from labelloop.service import candidates, jobs
from labelloop.service.context import Context
from labelloop.service.failures import forget, remember
from labelloop.service.marks import Marks
from labelloop.service.projects import Project
from labelloop.service.round import GONE_AFTER
from labelloop.service.state import PUSH, ROUND, read_state
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
        patch.setattr(candidates, "train_control", lacking)
        before = label(context, project, studio, 12)
    told = read_state(context.store, project.folder)
    assert told.waiting_for == "'topic' is not learnt: A library is not installed."
    assert told.last_training.endswith(told.waiting_for)
    assert label(context, project, studio, 24) != before, "it is learnt as soon as it can be"


def test_a_project_is_gone_when_it_stays_away(
    site: tuple[Context, Project], studio: PaperStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, project = site
    label(context, project, studio, 12)

    def away(project_id: int) -> dict[str, Any]:
        raise LabelStudioRejected("404 Not Found", 404)

    def fail() -> bool:
        """Do a round that fails; whether the project is still served."""
        with monkeypatch.context() as patch:
            patch.setattr(studio, "project", away)
            with pytest.raises(LabelStudioRejected):
                label(context, project, studio, 12)
        remember(context, project, ROUND, "404")
        return context.projects.get(project.key) is not None

    assert fail() and fail(), "a proxy answers so while Label Studio starts again"
    forget(context, project, ROUND)
    assert [fail() for _ in range(GONE_AFTER + 1)] == [True] * GONE_AFTER + [False]


def test_a_round_that_began_before_its_project_was_disconnected_does_not_have_it_served_again(
    site: tuple[Context, Project], studio: PaperStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, project = site
    answer = studio.project

    def disconnected_meanwhile(project_id: int) -> dict[str, Any]:
        context.projects.forget(project.slug)
        return answer(project_id)

    monkeypatch.setattr(studio, "project", disconnected_meanwhile)
    with pytest.raises(LabelloopError, match="no longer served"):
        label(context, project, studio, 12)
    assert context.projects.all() == []


def test_each_kind_of_job_has_failures_of_its_own(site: tuple[Context, Project], studio: PaperStudio) -> None:
    context, project = site
    marks = Marks(context.redis, project.slug)
    waits = []
    for _ in range(4):
        remember(context, project, PUSH, "Label Studio takes no predictions.")
        waits.append(round((marks.due_at() or 0) - time.time()))
        label(context, project, studio, 12)

    assert waits == [5, 10, 20, 40]
    assert read_state(context.store, project.folder).error == "push: Label Studio takes no predictions."
    forget(context, project, PUSH)
    assert read_state(context.store, project.folder).error == ""


def test_the_log_tells_once_that_what_had_failed_goes_well_again(
    site: tuple[Context, Project], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="labelloop")
    for _ in range(3):
        remember(*site, ROUND, "Label Studio cannot be reached.")
    for _ in range(2):
        forget(*site, ROUND)
    assert caplog.messages == ["Project 4: the round goes well again; it had failed 3 times in a row"]


def test_a_job_that_cannot_read_the_store_says_so_in_one_line_and_is_still_wanted(
    site: tuple[Context, Project], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    context, project = site
    marks = Marks(context.redis, project.slug)
    marks.want_push()

    def away(*_: Any) -> bytes:
        raise StoreError("The bucket does not exist.")

    monkeypatch.setattr(jobs, "open_context", lambda: context)
    monkeypatch.setattr(context.store, "read", away)
    jobs.push_job(project.slug)
    assert caplog.messages == [f"The push of {project.slug} has to wait: The bucket does not exist."]
    assert marks.push_wanted()


def test_a_failed_round_is_not_begun_anew_for_the_hints_it_kept(
    site: tuple[Context, Project], studio: PaperStudio
) -> None:
    context, project = site
    marks = Marks(context.redis, project.slug)
    remember(context, project, PUSH, "Label Studio takes no predictions.")
    assert not marks.held(), "learning does not wait for a push"
    remember(context, project, ROUND, "The store is full.")
    assert marks.held()
    forget(context, project, ROUND)
    assert not marks.held()


def test_a_training_that_was_asked_for_outlives_the_round_that_is_killed_in_it(
    site: tuple[Context, Project], studio: PaperStudio
) -> None:
    context, project = site
    before = label(context, project, studio, 12)
    marks = Marks(context.redis, project.slug)
    marks.note(force=True)
    marks.take()  # as a round does that a kill then ends
    assert label(context, project, studio, 14) != before
    assert not marks.training_wanted()


def test_what_is_live_is_not_given_up_for_a_failure(
    site: tuple[Context, Project], studio: PaperStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, project = site
    live = label(context, project, studio, 12)
    monkeypatch.setattr(candidates, "train_control", lacking)
    with pytest.raises(LearningError):
        label(context, project, studio, 24)
    assert context.versions(project).live_name() == live
