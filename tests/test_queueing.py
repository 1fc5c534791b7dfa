"""At most one round of a project waits or runs; what crashed never blocks what comes after."""

import pytest
from redis import Redis
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from labelloop.service.queueing import (
    LOOKS,
    QUEUES,
    ROUNDS,
    enqueue_look,
    enqueue_push,
    enqueue_round,
    job_state,
    queue_of,
    rounds_wait,
)
from labelloop.settings import Settings
from support.redis_process import RedisProcess

SETTINGS = Settings()


@pytest.fixture
def redis(redis_server: RedisProcess) -> Redis:
    return redis_server.client()


def test_a_burst_of_events_leaves_one_round(redis: Redis) -> None:
    assert [enqueue_round(redis, "p", SETTINGS) for _ in range(50)] == [True] + [False] * 49
    assert queue_of(redis, ROUNDS).count == 1


def test_projects_have_rounds_of_their_own(redis: Redis) -> None:
    assert enqueue_round(redis, "one", SETTINGS)
    assert enqueue_round(redis, "two", SETTINGS)


def test_a_push_does_not_count_as_a_round(redis: Redis) -> None:
    assert enqueue_push(redis, "p", SETTINGS)
    assert not rounds_wait(redis)
    assert enqueue_round(redis, "p", SETTINGS)
    assert rounds_wait(redis)


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED, JobStatus.FINISHED])
def test_a_job_that_ended_badly_makes_room(redis: Redis, status: JobStatus) -> None:
    enqueue_round(redis, "p", SETTINGS)
    job = Job.fetch("round-p", connection=redis, serializer=JSONSerializer)
    queue_of(redis, ROUNDS).empty()
    job.save()
    job.set_status(status)
    assert enqueue_round(redis, "p", SETTINGS)
    assert job_state(redis, "round-p") == "queued"


def test_a_running_job_refuses_its_twin(redis: Redis) -> None:
    enqueue_round(redis, "p", SETTINGS)
    Job.fetch("round-p", connection=redis, serializer=JSONSerializer).set_status(JobStatus.STARTED)
    assert not enqueue_round(redis, "p", SETTINGS)


def test_an_unknown_job_has_no_state(redis: Redis) -> None:
    assert job_state(redis, "round-nobody") is None


def test_learning_comes_first_then_the_order_then_what_only_the_clock_asks_for() -> None:
    assert [name.removeprefix("labelloop-") for name in QUEUES] == ["rounds", "pushes", "looks", "tunings"]


def test_a_look_that_waits_is_moved_up_when_something_has_changed(redis: Redis) -> None:
    assert enqueue_look(redis, "p", SETTINGS)
    assert enqueue_look(redis, "q", SETTINGS)
    assert not enqueue_round(redis, "p", SETTINGS)
    assert queue_of(redis, ROUNDS).job_ids == ["round-p"]
    assert queue_of(redis, LOOKS).job_ids == ["round-q"]


def test_a_round_that_waits_needs_no_look(redis: Redis) -> None:
    assert enqueue_round(redis, "p", SETTINGS)
    assert not enqueue_look(redis, "p", SETTINGS)
    assert queue_of(redis, LOOKS).count == 0


def test_a_long_push_lets_looks_in_between(redis: Redis) -> None:
    assert enqueue_look(redis, "p", SETTINGS)
    assert rounds_wait(redis)


@pytest.mark.parametrize("name", ["round-p1-5*", "", "a b", "../x", "ü"])
def test_a_name_that_no_job_can_have_is_no_job(redis: Redis, name: str) -> None:
    assert job_state(redis, name) is None
