"""A worker's job dies with it and is found and done by another."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from labelloop.cli.child import Child, Program
from labelloop.service.queueing import ROUNDS, job_state, queue_of, recover_abandoned
from labelloop.service.workers import listening_workers
from support.loop_process import BACKEND, until
from support.redis_process import RedisProcess

pytestmark = pytest.mark.slow


@pytest.fixture
def worker(redis_server: RedisProcess, tmp_path: Path) -> Iterator[Child]:
    environment = {**os.environ, "REDIS_URL": redis_server.url, "LABELLOOP_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "labelloop.cli", "worker"]
    child = Child(Program("worker", command, tmp_path / "worker.log", {**environment, "PYTHONPATH": str(BACKEND)}))
    child.start()
    yield child
    child.stop(grace=2)


def start_job(redis: Redis, seconds: int) -> None:
    from rq import Retry

    queue_of(redis, ROUNDS).enqueue("time.sleep", args=[seconds], job_id="long", retry=Retry(max=3), result_ttl=0)
    until(lambda: job_state(redis, "long") == "started", 30, "the job runs", every=0.02)


def horse_of(worker: Child) -> int:
    def child() -> int | None:
        found = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
        return int(found[0]) if found else None

    pid = until(child, 5, "the job has a process of its own")
    assert isinstance(pid, int)
    return pid


def test_a_killed_worker_takes_its_job_along_and_another_does_it(redis_server: RedisProcess, worker: Child) -> None:
    redis = redis_server.client()
    start_job(redis, 600)
    horse = horse_of(worker)
    worker.kill()
    until(lambda: not Path(f"/proc/{horse}").exists() or _is_zombie(horse), 5, "the job's process is gone")

    def queued_again() -> bool:
        recover_abandoned(redis)
        return job_state(redis, "long") == "queued"

    until(queued_again, 20, "the job waits for another worker", every=0.5)
    worker.start()
    until(lambda: job_state(redis, "long") == "started", 30, "another worker does it")


def test_a_job_whose_process_is_killed_is_done_again(redis_server: RedisProcess, worker: Child) -> None:
    redis = redis_server.client()
    start_job(redis, 600)
    horse = horse_of(worker)
    os.kill(horse, 9)
    until(lambda: worker.alive and horse_of(worker) != horse, 20, "the worker does it again")


def test_a_finished_job_frees_its_id_at_once(redis_server: RedisProcess, worker: Child) -> None:
    redis = redis_server.client()
    start_job(redis, 1)
    until(lambda: job_state(redis, "long") is None, 20, "the id is free")


def test_a_worker_waits_for_a_redis_that_is_gone_for_a_while(redis_server: RedisProcess, worker: Child) -> None:
    start_job(redis_server.client(), 1)
    until(lambda: job_state(redis_server.client(), "long") is None, 20, "the job is done")
    redis_server.kill()
    until(lambda: not redis_server.alive, 5, "Redis is gone")
    redis_server.start()
    assert worker.alive
    start_job(redis_server.client(), 600)


def test_a_worker_counts_again_after_redis_has_lost_all_it_knew(redis_server: RedisProcess, worker: Child) -> None:
    redis = redis_server.client()
    start_job(redis, 1)
    until(lambda: job_state(redis, "long") is None, 20, "the worker is idle")
    redis_server.flush()
    assert listening_workers(redis) == []
    start_job(redis, 600)
    until(lambda: len(listening_workers(redis)) == 1, 5, "it counts as soon as it has something to do")
    redis_server.flush()
    until(lambda: len(listening_workers(redis)) == 1, 10, "it counts again while it is busy")


def _is_zombie(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
