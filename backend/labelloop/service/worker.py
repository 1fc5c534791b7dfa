"""The worker: takes jobs off the queues, each in a process of its own that dies with it."""

import ctypes
import importlib
import logging
import os
import signal
import sys
import time
from functools import partial
from typing import Final

from redis.client import Pipeline
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import TimeoutError as NoAnswer
from rq import Queue, Worker
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker_registration import register

from labelloop.learning import preload
from labelloop.service.context import open_context
from labelloop.service.failures import remember_death
from labelloop.service.queueing import QUEUES, TUNINGS, connect_redis, queue_of, recover_abandoned
from labelloop.settings import Settings

logger = logging.getLogger(__name__)

HEARTBEAT = 5
GRACE = 5
JOBS = "labelloop.service.jobs"
GENTLY = 10
"""How much a fine-tuning leaves the processor to the server and to rounds (its niceness)."""
PR_SET_PDEATHSIG = 1
REDIS_IS_GONE: Final = (ConnectionLost, NoAnswer)


class LoopWorker(Worker):
    """An RQ worker whose death is noticed within seconds and takes its running job along, so that another can do it.

    Without Redis it would end in the middle of a job, though it waits where it has none. Here the job goes on as long as nobody else
    can take it for abandoned, then it is ended; and the worker waits for Redis, as it does between jobs.
    """

    _last_sign = 0.0
    """When a sign of life reached Redis last, on the monotonic clock."""

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Seconds without a sign of life after which a job counts as abandoned."""
        return HEARTBEAT + GRACE

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Give a sign of life, and report for duty again: a Redis that has lost its data knows of no worker any more."""
        beat = self.connection.pipeline() if pipeline is None else pipeline
        super().heartbeat(timeout, beat)
        if self.birth_date is not None:
            beat.hset(self.key, mapping=self.serialize())
            register(self, beat)
        if pipeline is None:
            beat.execute()

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Give a sign of life of a job, and end it once it has given none for so long that it is put back in its queue."""
        try:
            super().maintain_heartbeats(job, execution)
            self._last_sign = time.monotonic()
        except REDIS_IS_GONE as error:
            if time.monotonic() - self._last_sign < HEARTBEAT + GRACE:
                logger.warning("Redis is gone (%s); %s goes on for now", error, job.id)
            else:
                logger.warning("Redis is gone; %s is ended, and done again when Redis is back", job.id)
                self.kill_horse()

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run one job, and wait for Redis where it is lost meanwhile: its jobs that count as running are put back in their queues."""
        self._last_sign = time.monotonic()
        try:
            super().execute_job(job, queue)
        except REDIS_IS_GONE as error:
            logger.warning("Redis is gone (%s); the worker waits for it", error)
            if self.horse_pid:
                self.kill_horse()
                self.wait_for_horse()
                self._horse_pid = 0
            self._wait_for_redis()

    def _wait_for_redis(self) -> None:
        while not self._stop_requested:
            try:
                self.connection.ping()
                return
            except REDIS_IS_GONE:
                time.sleep(1)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Run one job in the forked child, which the kernel ends if this worker dies first."""
        die_with_parent()
        if queue.name == TUNINGS:
            os.nice(GENTLY)
        super().main_work_horse(job, queue)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent is gone. Linux only; elsewhere an orphan ends with its job."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died in between
            os._exit(1)


def run_worker(settings: Settings) -> None:
    """Work until told to stop by SIGTERM or SIGINT; the job in hand is finished first.

    Args:
        settings: where Redis is.
    """
    # Jobs are forked, so what is loaded here costs them nothing.
    preload()
    importlib.import_module(JOBS)
    redis, context = connect_redis(settings), open_context(settings)
    recover_abandoned(redis, partial(remember_death, context))
    worker = LoopWorker(
        [queue_of(redis, name) for name in QUEUES],
        connection=redis,
        serializer=JSONSerializer,
        job_monitoring_interval=HEARTBEAT,
        log_job_description=False,
        work_horse_killed_handler=lambda job, *_: remember_death(context, job),
    )
    logger.info("Worker %s listens", worker.name)
    worker.work(logging_level="WARNING")
    logger.info("Worker %s has stopped", worker.name)
