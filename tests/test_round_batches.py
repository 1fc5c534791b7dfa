"""A round in the middle of a batch of labels does not put off the training that the whole batch calls for."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labelloop.service.context import Context
from labelloop.service.marks import Marks
from labelloop.service.projects import Project
from labelloop.service.queueing import ROUNDS, queue_of
from labelloop.service.ticker import Ticker
from support.paper import PaperStudio, label, opened
from support.redis_process import RedisProcess


@pytest.fixture
def studio() -> PaperStudio:
    return PaperStudio("4")


@pytest.fixture
def site(tmp_path: Path, redis_server: RedisProcess, studio: PaperStudio) -> Iterator[tuple[Context, Project]]:
    context, project = opened(tmp_path, redis_server, studio)
    label(context, project, studio, 12)
    yield context, project
    context.redis.close()


def test_what_a_look_has_counted_counts_on(site: tuple[Context, Project], studio: PaperStudio) -> None:
    context, project = site
    before = label(context, project, studio, 14)
    marks = Marks(context.redis, project.slug)
    assert marks.read().changes == 2
    queue_of(context.redis, ROUNDS).empty()
    Ticker(context).beat(time.time())
    assert queue_of(context.redis, ROUNDS).count == 0
    marks.note(3)
    Ticker(context).beat(time.time())
    assert queue_of(context.redis, ROUNDS).count == 1
    assert label(context, project, studio, 17) != before


def test_a_training_leaves_nothing_to_count_on(site: tuple[Context, Project]) -> None:
    context, project = site
    assert not Marks(context.redis, project.slug).read()


def test_labels_that_nothing_is_to_be_learnt_from_call_for_no_further_round(
    tmp_path: Path, redis_server: RedisProcess, studio: PaperStudio
) -> None:
    context, project = opened(tmp_path / "spent", redis_server, studio, label_budget=12)
    label(context, project, studio, 12)
    label(context, project, studio, 30)
    assert not Marks(context.redis, project.slug).read()
