"""The clock asks for a round at once where something is known to have changed, and for a look where nothing is."""

import time

import pytest
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer

from labelloop.service import queueing
from labelloop.service.asking import ask_training
from labelloop.service.context import Context
from labelloop.service.marks import Marks
from labelloop.service.projects import Project
from labelloop.service.queueing import LOOKS, PUSHES, ROUNDS, TUNINGS, enqueue_round, queue_of, round_id
from labelloop.service.state import read_state
from labelloop.service.ticker import Ticker
from labelloop.service.worker import LoopWorker
from support.serving import a_project


def waiting(context: Context) -> dict[str, int]:
    counts = {name: queue_of(context.redis, name).count for name in (ROUNDS, PUSHES, LOOKS, TUNINGS)}
    return {name: count for name, count in counts.items() if count}


def test_a_project_of_which_nothing_is_heard_gets_a_look_when_its_time_has_come(
    context: Context, project: Project
) -> None:
    now = time.time()
    Marks(context.redis, project.slug).set_due(now + 30)
    ticker = Ticker(context)
    ticker.beat(now)
    assert waiting(context) == {}
    ticker.beat(now + 31)
    assert waiting(context) == {LOOKS: 1}


def test_enough_changes_overtake_the_look_that_waits(context: Context, project: Project) -> None:
    now = time.time()
    ticker = Ticker(context)
    ticker.beat(now)
    assert waiting(context) == {LOOKS: 1}
    Marks(context.redis, project.slug).note(context.settings.train_after)
    ticker.beat(now + 1)
    assert waiting(context) == {ROUNDS: 1}


def test_what_a_push_or_a_fine_tuning_left_over_goes_on(context: Context, project: Project) -> None:
    marks = Marks(context.redis, project.slug)
    marks.set_due(time.time() + 30)
    marks.want_push()
    marks.want_tuning()
    Ticker(context).beat(time.time())
    assert waiting(context) == {PUSHES: 1, TUNINGS: 1}


def test_a_push_that_a_worker_lost_is_asked_for_again(
    context: Context, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "HANDOVER", 0)
    marks = Marks(context.redis, project.slug)
    marks.set_due(time.time() + 30)
    marks.want_push()
    ticker = Ticker(context)
    ticker.beat(time.time())
    context.redis.blpop([queue_of(context.redis, PUSHES).key])
    ticker.beat(time.time())
    assert waiting(context) == {PUSHES: 1}


@pytest.mark.parametrize("asked_for", [False, True], ids=["of itself", "asked for"])
def test_what_failed_is_not_tried_again_before_its_time_unless_somebody_asks(
    context: Context, project: Project, asked_for: bool
) -> None:
    now = time.time()
    marks = Marks(context.redis, project.slug)
    marks.note(context.settings.train_after, force=asked_for)  # which a round that fails puts back
    marks.hold(30)
    ticker = Ticker(context)
    ticker.beat(now)
    assert waiting(context) == {}
    ask_training(context, project)
    assert waiting(context) == {ROUNDS: 1}


def test_a_round_whose_worker_was_killed_each_time_is_told_of_and_not_begun_anew_at_once(
    context: Context, project: Project
) -> None:
    enqueue_round(context.redis, project.slug, context.settings)
    queue = queue_of(context.redis, ROUNDS)
    [job] = queue.jobs
    context.redis.blpop([queue.key])
    job.retries_left = 0
    job.save()
    worker = LoopWorker([queue], connection=context.redis, serializer=JSONSerializer)
    worker.prepare_execution(job)
    worker.prepare_job_execution(job)
    hands = StartedJobRegistry(queue=queue).key
    context.redis.zadd(hands, dict.fromkeys(context.redis.zrange(hands, 0, -1), 1))
    Ticker(context).beat(time.time())
    assert "the worker was killed in the middle of it" in read_state(context.store, project.folder).error
    assert waiting(context) == {}


def test_a_clock_that_is_set_back_hides_no_project(context: Context, project: Project) -> None:
    now = time.time()
    ticker = Ticker(context)
    ticker.beat(now + 3600)
    Marks(context.redis, project.slug).set_due(now + 30)
    younger = a_project(context, key="5.1795472333")
    ticker.beat(now)
    assert queue_of(context.redis, LOOKS).job_ids == [round_id(project.slug), round_id(younger.slug)]


def test_no_command_waits_for_redis_for_ever(context: Context) -> None:
    assert context.redis.connection_pool.connection_kwargs["socket_timeout"] > 0
