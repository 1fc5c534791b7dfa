"""The wire: Redis and the RQ queues on it. At most one round a project waits or runs, one push, and one fine-tuning."""

import logging
from collections.abc import Callable
from typing import Any

from redis import Redis
from rq import Queue, Retry
from rq.exceptions import DuplicateJobError, InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.utils import parse_composite_key

from labelloop.errors import SettingsError
from labelloop.settings import Settings

logger = logging.getLogger(__name__)

ROUNDS = "labelloop-rounds"
PUSHES = "labelloop-pushes"
LOOKS = "labelloop-looks"
TUNINGS = "labelloop-tunings"
QUEUES = (ROUNDS, PUSHES, LOOKS, TUNINGS)
"""In the order a worker looks at them: learning first, then the queue's order, rounds that only the clock asks for, and what can wait."""

CRASH_RETRIES = 3
HANDOVER = 10
"""Seconds after which a job in no queue and no worker's hands is lost; one that a worker takes is there for milliseconds."""
_MISSED_KEPT = 600
ROUND_PREFIX = "round-"
_ROUND_JOB = "labelloop.service.jobs.round_job"
_MOVE_UP = "if redis.call('lrem', KEYS[1], 1, ARGV[1]) == 1 then redis.call('rpush', KEYS[2], ARGV[1]) end"
_SWEEP = "if redis.call('hexists', KEYS[1], 'data') == 0 then redis.call('del', KEYS[1]) end"
_ENDED = {JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED, JobStatus.FINISHED}


def connect_redis(settings: Settings, timeout: float | None = None) -> Redis:
    """A connection pool to the wire.

    Args:
        settings: where Redis is.
        timeout: seconds one command may take; None for workers, which wait in blocking commands.

    Raises:
        SettingsError: `REDIS_URL` has an option that there is not, or one of a wrong value.
    """
    try:
        redis = Redis.from_url(settings.redis_location, socket_timeout=timeout, **_connect_options(settings))
        # Without connecting: what is wrong with its options would else be told of by whatever asks Redis first.
        redis.connection_pool.connection_class(**redis.connection_pool.connection_kwargs)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"REDIS_URL has an option that cannot be used: {error}. Mend or remove it.") from None
    return redis


def queue_of(redis: Redis, name: str) -> Queue:
    """One of `QUEUES`."""
    return Queue(name, connection=redis, serializer=JSONSerializer)


def enqueue_round(redis: Redis, slug: str, settings: Settings, *, force: bool = False) -> bool:
    """Ask for a round of a project; False when one waits or runs already. One that waits among the looks is moved up."""
    looks, rounds = (queue_of(redis, name).key for name in (LOOKS, ROUNDS))
    redis.eval(_MOVE_UP, 2, looks, rounds, round_id(slug))
    return _enqueue(redis, ROUNDS, round_id(slug), _ROUND_JOB, [slug, force], settings)


def enqueue_look(redis: Redis, slug: str, settings: Settings) -> bool:
    """Ask for a round of a project in which nothing is known to have changed; False when one waits or runs already."""
    return _enqueue(redis, LOOKS, round_id(slug), _ROUND_JOB, [slug, False], settings)


def enqueue_push(redis: Redis, slug: str, settings: Settings) -> bool:
    """Ask for the next part of a project's push; False when one waits or runs already."""
    return _enqueue(redis, PUSHES, push_id(slug), "labelloop.service.jobs.push_job", [slug], settings)


def enqueue_tuning(redis: Redis, slug: str, settings: Settings) -> bool:
    """Ask for a project's fine-tuning to begin or go on; False when one waits or runs already."""
    return _enqueue(redis, TUNINGS, f"tuning-{slug}", "labelloop.service.jobs.tuning_job", [slug], settings)


def round_id(slug: str) -> str:
    """The id of a project's round."""
    return f"{ROUND_PREFIX}{slug}"


def push_id(slug: str) -> str:
    """The id of a project's push."""
    return f"push-{slug}"


def rounds_wait(redis: Redis) -> bool:
    """Whether a round waits, be it a look; between the parts of a long push a worker does what has gathered of both."""
    return any(queue_of(redis, name).count for name in (ROUNDS, LOOKS))


def others_wait(redis: Redis) -> bool:
    """Whether a worker that is free now would start something more urgent than a fine-tuning."""
    return rounds_wait(redis) or queue_of(redis, PUSHES).count > 0


def recover_abandoned(redis: Redis, on_death: Callable[[Job], None]) -> None:
    """Put the jobs of workers that died back in their queues.

    Args:
        redis: the wire.
        on_death: told of each before; must not raise, or none is put back.
    """

    def died(job: Job, *_: object) -> None:
        _forget_executions(redis, job)
        on_death(job)

    for name in QUEUES:
        StartedJobRegistry(queue=queue_of(redis, name)).cleanup(exception_handlers=[died])


def _forget_executions(redis: Redis, job: Job) -> None:
    """RQ goes on listing an execution for a minute after all it knew of it has expired, and stumbles over it when it removes the job."""
    redis.delete(job.execution_registry.key)


def job_state(redis: Redis, job_id: str) -> str | None:
    """`queued`, `started`, … or None when there is no such job."""
    try:
        # As it was when it was fetched: asked anew it may have ended since.
        return Job.fetch(job_id, connection=redis, serializer=JSONSerializer).get_status(refresh=False).value
    except (NoSuchJobError, ValueError):  # RQ takes no name with other signs in it
        return None


def _connect_options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {"health_check_interval": 30}
    return options if settings.redis_location.startswith("unix:") else options | {"socket_connect_timeout": 2}


def _enqueue(redis: Redis, queue: str, job_id: str, function: str, args: list[Any], settings: Settings) -> bool:
    for _ in range(2):
        try:
            # A finished job's key would refuse its unique id until it expires, so it goes at once (result_ttl=0).
            queue_of(redis, queue).enqueue(
                function,
                args=args,
                job_id=job_id,
                unique=True,
                job_timeout=settings.job_timeout,
                result_ttl=0,
                retry=Retry(max=CRASH_RETRIES),
            )
            return True
        except DuplicateJobError:
            if not _clear_dead(redis, job_id):
                return False
    return False


def _clear_dead(redis: Redis, job_id: str) -> bool:
    """Remove a job that ended badly, is lost or is only half there, and would block its successors; False when it is alive."""
    try:
        job = Job.fetch(job_id, connection=redis, serializer=JSONSerializer)
        if job.get_status(refresh=False) in _ENDED:
            logger.warning("%s had crashed %d times in a row and starts anew", job_id, CRASH_RETRIES + 1)
        elif _is_lost(redis, job):
            logger.warning("%s was lost by a worker that ended before it started it, and starts anew", job_id)
        else:
            return False
        _forget_executions(redis, job)
        job.delete()
    except (NoSuchJobError, InvalidJobOperation):
        # It has ended meanwhile; or a worker wrote that it runs what a flush had just removed, and was killed.
        redis.eval(_SWEEP, 1, Job.key_for(job_id))
    return True


def _is_lost(redis: Redis, job: Job) -> bool:
    """Whether a job has been nowhere for `HANDOVER` seconds: RQ pops it off its queue some time before it records who runs it."""
    if _is_somewhere(redis, job):
        return False
    # Of this enqueuing alone: the job may be enqueued again, and be handed over again, before anybody looks.
    missed = f"labelloop:missed:{job.id}:{job.enqueued_at}"
    redis.set(missed, 1, nx=True, ex=_MISSED_KEPT)
    return bool(redis.ttl(missed) <= _MISSED_KEPT - HANDOVER)


def _is_somewhere(redis: Redis, job: Job) -> bool:
    """Whether a job is in a queue or in a worker's hands; asked at once, lest it move meanwhile from one that is still to be asked."""
    with redis.pipeline() as pipe:
        for queue in (queue_of(redis, name) for name in QUEUES):
            pipe.lpos(queue.key, job.id)
            pipe.zrange(StartedJobRegistry(queue=queue).key, 0, -1)
        found = pipe.execute()
    hands = (parse_composite_key(entry.decode())[0] for entries in found[1::2] for entry in entries)
    return any(position is not None for position in found[::2]) or job.id in hands
