"""At most one round of a project waits or runs; what crashed never blocks what comes after."""

import os
import signal
from typing import Any

import pytest
from redis import Redis
from rq import Retry, SimpleWorker
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer

from labelloop.errors import SettingsError
from labelloop.service import queueing
from labelloop.service.queueing import (
    LOOKS,
    QUEUES,
    ROUNDS,
    connect_redis,
    enqueue_look,
    enqueue_push,
    enqueue_round,
    job_state,
    queue_of,
    recover_abandoned,
    rounds_wait,
)
from labelloop.service.worker import LoopWorker
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


def taken_by_nobody(redis: Redis) -> None:
    """What a worker leaves that ends right after it took a job, before it says that it runs it."""
    assert redis.blpop([queue_of(redis, ROUNDS).key]) is not None


def test_a_job_that_no_worker_has_started_in_time_is_lost_and_makes_room(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "HANDOVER", 0)
    enqueue_round(redis, "p", SETTINGS)
    taken_by_nobody(redis)
    assert enqueue_round(redis, "p", SETTINGS)
    assert queue_of(redis, ROUNDS).job_ids == ["round-p"]


def test_a_job_on_its_way_to_a_worker_is_not_lost(redis: Redis) -> None:
    enqueue_round(redis, "p", SETTINGS)
    taken_by_nobody(redis)
    assert [enqueue_round(redis, "p", SETTINGS) for _ in range(3)] == [False] * 3


def test_a_job_that_waits_or_runs_is_never_lost(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "HANDOVER", 0)
    enqueue_look(redis, "p", SETTINGS)
    assert not enqueue_round(redis, "p", SETTINGS)
    worker = LoopWorker([queue_of(redis, ROUNDS)], connection=redis, serializer=JSONSerializer)
    job = Job.fetch("round-p", connection=redis, serializer=JSONSerializer)
    taken_by_nobody(redis)
    worker.prepare_execution(job)
    worker.prepare_job_execution(job)
    assert not enqueue_round(redis, "p", SETTINGS)


def test_where_a_job_is_is_asked_at_once(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    enqueue_look(redis, "p", SETTINGS)
    job = Job.fetch("round-p", connection=redis, serializer=JSONSerializer)
    asked: list[str] = []
    ask = redis.execute_command
    monkeypatch.setattr(redis, "execute_command", lambda *what, **how: asked.append(what[0]) or ask(*what, **how))

    assert not queueing._is_lost(redis, job)
    assert asked == []


def test_a_worker_told_to_stop_as_it_takes_a_job_blocks_nothing(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "HANDOVER", 0)
    enqueue_round(redis, "p", SETTINGS)
    worker = LoopWorker([queue_of(redis, name) for name in QUEUES], connection=redis, serializer=JSONSerializer)
    monkeypatch.setattr(worker, "reorder_queues", lambda reference_queue: os.kill(os.getpid(), signal.SIGTERM))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        worker.work()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert queue_of(redis, ROUNDS).count == 0
    assert enqueue_round(redis, "p", SETTINGS)


def outlive(redis: Redis, worker: LoopWorker, job: Job) -> None:
    """What is left of an execution for a minute after its worker's last sign of life has expired."""
    redis.delete(worker.prepare_execution(job).key)
    hands = StartedJobRegistry(queue=queue_of(redis, ROUNDS)).key
    redis.zadd(hands, dict.fromkeys(redis.zrange(hands, 0, -1), 1))


def test_a_job_that_is_done_again_after_its_worker_was_killed_is_done_once(redis: Redis) -> None:
    queue = queue_of(redis, ROUNDS)
    job = queue.enqueue("time.sleep", args=[0], job_id="short", retry=Retry(max=3), result_ttl=0)
    taken_by_nobody(redis)
    killed = LoopWorker([queue], connection=redis, serializer=JSONSerializer)
    outlive(redis, killed, job)
    killed.prepare_job_execution(job)
    deaths: list[str] = []
    recover_abandoned(redis, lambda job: deaths.append(job.id))
    assert deaths == ["short"]
    worker = SimpleWorker([queue], connection=redis, serializer=JSONSerializer)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        worker.work(burst=True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    worker.refresh()
    assert (worker.successful_job_count, worker.failed_job_count) == (1, 0)


def test_a_lost_job_makes_room_whatever_is_left_of_its_execution(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "HANDOVER", 0)
    enqueue_round(redis, "p", SETTINGS)
    taken_by_nobody(redis)
    job = Job.fetch("round-p", connection=redis, serializer=JSONSerializer)
    outlive(redis, LoopWorker([queue_of(redis, ROUNDS)], connection=redis, serializer=JSONSerializer), job)
    recover_abandoned(redis, lambda job: None)
    assert enqueue_round(redis, "p", SETTINGS)


def test_what_a_killed_worker_wrote_of_a_job_that_a_flush_had_removed_blocks_nothing(redis: Redis) -> None:
    enqueue_round(redis, "p", SETTINGS)
    worker = LoopWorker([queue_of(redis, ROUNDS)], connection=redis, serializer=JSONSerializer)
    job = Job.fetch("round-p", connection=redis, serializer=JSONSerializer)
    redis.flushall()
    worker.prepare_job_execution(job)
    assert enqueue_round(redis, "p", SETTINGS)
    assert queue_of(redis, ROUNDS).job_ids == ["round-p"]


@pytest.fixture
def fleeting(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round that ends right after it is fetched."""
    enqueue_round(redis, "p", SETTINGS)
    fetch = Job.fetch

    def fetched(*args: Any, **options: Any) -> Job:
        job = fetch(*args, **options)
        redis.delete(job.key, queue_of(redis, ROUNDS).key)
        return job

    monkeypatch.setattr(Job, "fetch", fetched)


@pytest.mark.usefixtures("fleeting")
def test_a_job_that_ends_while_its_state_is_asked_for_has_the_state_it_had(redis: Redis) -> None:
    assert [job_state(redis, "round-p") for _ in range(2)] == ["queued", None]


@pytest.mark.usefixtures("fleeting")
def test_a_job_that_ends_while_another_is_asked_for_makes_room(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "HANDOVER", 0)
    assert enqueue_round(redis, "p", SETTINGS)


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


@pytest.mark.parametrize("option", ["socket_timeout=abc", "nonsense=1", "db=x"])
def test_an_option_that_redis_does_not_have_is_told_of_by_its_setting(option: str) -> None:
    settings = Settings(redis_url=f"redis://:secret@127.0.0.1:1/0?{option}")
    with pytest.raises(SettingsError, match="REDIS_URL has an option that cannot be used") as told:
        connect_redis(settings)
    assert "secret" not in str(told.value)
