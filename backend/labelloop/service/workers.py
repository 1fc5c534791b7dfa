"""Which workers are there to do what is asked for."""

import os
import socket

from redis import Redis
from rq import Worker
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from labelloop.service.queueing import QUEUES


def listening_workers(redis: Redis) -> list[BaseWorker]:
    """Workers that listen on queues of ours; one that was killed on this machine no longer counts, though Redis lists it for minutes.

    Raises:
        RedisError: Redis does not answer.
    """
    known = Worker.all(connection=redis, serializer=JSONSerializer)
    return [worker for worker in known if set(QUEUES) & set(worker.queue_names()) and not _is_dead(worker)]


def _is_dead(worker: BaseWorker) -> bool:
    if worker.hostname != socket.gethostname() or not worker.pid:
        return False
    try:
        os.kill(worker.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's, and alive
        return False
    return False
