"""The worker: takes jobs off the queues, each in a process of its own that dies with it."""

import ctypes
import importlib
import logging
import os
import signal
import sys
from functools import partial

from redis.client import Pipeline
from rq import Queue, Worker
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


class LoopWorker(Worker):
    """An RQ worker whose death is noticed within seconds and takes its running job along, so that another can do it."""

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
