"""A worker's job dies with it and is found and done by another."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from labelloop.cli.child import Child, Program
from labelloop.service.asking import training_standing
from labelloop.service.marks import Marks
from labelloop.service.queueing import CRASH_RETRIES, ROUNDS, job_state, queue_of, recover_abandoned
from labelloop.service.state import read_state
from labelloop.service.workers import listening_workers
from support.loop_process import BACKEND, until
from support.redis_process import RedisProcess
from support.serving import a_context, a_project

pytestmark = pytest.mark.slow


@pytest.fixture
def worker(redis_server: RedisProcess, tmp_path: Path) -> Iterator[Child]:
    environment = {**os.environ, "REDIS_URL": redis_server.url, "LABELLOOP_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "labelloop.cli", "worker"]
    child = Child(Program("worker", command, tmp_path / "worker.log", {**environment, "PYTHONPATH": str(BACKEND)}))
    child.start()
    yield child
    child.stop(grace=2)


def start_job(redis: Redis, seconds: int, job_id: str = "long") -> None:
    from rq import Retry

    queue_of(redis, ROUNDS).enqueue("time.sleep", args=[seconds], job_id=job_id, retry=Retry(max=3), result_ttl=0)
    until(lambda: job_state(redis, job_id) == "started", 30, "the job runs", every=0.02)


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
        recover_abandoned(redis, lambda job: None)
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


def test_a_round_that_is_killed_each_time_is_told_of(redis_server: RedisProcess, worker: Child, tmp_path: Path) -> None:
    context = a_context(tmp_path, redis_server.url)
    project = a_project(context)
    start_job(context.redis, 600, f"round-{project.slug}")
    Marks(context.redis, project.slug).note(force=True)
    killed = 0
    for _ in range(1 + CRASH_RETRIES):
        killed = until(lambda before=killed: (horse := horse_of(worker)) != before and horse, 20, "it is tried (again)")
        assert read_state(context.store, project.folder).error == ""
        os.kill(killed, 9)
    until(lambda: training_standing(context, project).ended, 20, "nobody waits for it any more")
    assert "killed in the middle of it 4 times in a row" in training_standing(context, project).error
    context.redis.close()


def test_a_finished_job_frees_its_id_at_once(redis_server: RedisProcess, worker: Child) -> None:
    redis = redis_server.client()
    start_job(redis, 1)
    until(lambda: job_state(redis, "long") is None, 20, "the id is free")


def test_a_worker_waits_for_a_redis_that_is_gone_for_a_while(redis_server: RedisProcess, worker: Child) -> None:
    redis = redis_server.client()
    until(lambda: any(client["cmd"] == "blpop" for client in redis.client_list()), 30, "the worker waits for a job")
    redis_server.kill()
    until(lambda: not redis_server.alive, 5, "Redis is gone")
    redis_server.start()
    assert worker.alive
    start_job(redis_server.client(), 600)


def test_a_job_goes_on_while_redis_is_gone_for_a_moment(redis_server: RedisProcess, worker: Child) -> None:
    start_job(redis_server.client(), 600)
    horse = horse_of(worker)
    redis_server.kill()
    until(lambda: "goes on for now" in worker.program.log.read_text(), 20, "the worker misses Redis")
    redis_server.start()
    until(lambda: len(listening_workers(redis_server.client())) == 1, 20, "it counts again")
    assert horse_of(worker) == horse


def test_a_job_ends_when_redis_is_gone_for_long_and_its_worker_waits(redis_server: RedisProcess, worker: Child) -> None:
    """Another worker would take the job for abandoned as soon as Redis is back, and do it a second time."""
    start_job(redis_server.client(), 600)
    horse = horse_of(worker)
    redis_server.kill()
    until(lambda: not Path(f"/proc/{horse}").exists() or _is_zombie(horse), 40, "the job is ended")
    redis_server.start()
    start_job(redis_server.client(), 600)
    assert worker.alive
    assert horse_of(worker) != horse


def test_a_worker_counts_again_after_redis_has_lost_all_it_knew(redis_server: RedisProcess, worker: Child) -> None:
    redis = redis_server.client()
    start_job(redis, 1)
    until(lambda: job_state(redis, "long") is None, 20, "the worker is idle")
    redis_server.flush()
    start_job(redis, 600)
    until(lambda: len(listening_workers(redis)) == 1, 30, "it counts as soon as it has something to do")
    redis_server.flush()
    until(lambda: len(listening_workers(redis)) == 1, 30, "it counts again while it is busy")


def _is_zombie(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True


def test_a_worker_that_is_stopped_says_so(redis_server: RedisProcess, worker: Child, tmp_path: Path) -> None:
    """A worker that was killed does not, which the log has to tell apart."""
    redis = redis_server.client()
    start_job(redis, 1)  # until it has begun one, a signal may end it at once
    worker.stop(grace=20)
    log = (tmp_path / "worker.log").read_text()
    assert log.count(" has stopped\n") == 1 and log.count(" listens\n") == 1
