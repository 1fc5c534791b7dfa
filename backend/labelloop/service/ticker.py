"""A clock in the server: starts the rounds that are due, and brings back the jobs of workers that died."""

import logging
import threading
import time
from functools import partial

from redis.exceptions import RedisError

from labelloop.errors import LabelloopError
from labelloop.service.context import Context
from labelloop.service.failures import remember_death
from labelloop.service.marks import Marks
from labelloop.service.queueing import enqueue_look, enqueue_push, enqueue_round, enqueue_tuning, recover_abandoned
from labelloop.service.triggers import round_is_due

logger = logging.getLogger(__name__)

BEAT = 0.5
RECOVER_EVERY = 5.0
LIST_EVERY = 2.0


class Ticker:
    """Runs in a thread of its own. Several servers may each have one: the queues accept a round once.

    Args:
        context: the doors to the store and Redis.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="labelloop-ticker", daemon=True)
        self._slugs: list[str] = []
        self._listed_at = self._recovered_at = 0.0
        self._trouble = ""

    def start(self) -> None:
        """Begin to tick."""
        self._thread.start()

    def stop(self) -> None:
        """End after the beat in hand."""
        self._stopped.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopped.wait(BEAT):
            try:
                self.beat(time.time())
            except (RedisError, LabelloopError) as error:
                self._tell_once(f"{type(error).__name__}: {error}")
            except Exception:
                logger.exception("The ticker stumbled and goes on")
            else:
                self._tell_once("")

    def beat(self, now: float) -> None:
        """Look at every project once.

        Args:
            now: Unix time.

        Raises:
            RedisError: Redis is gone.
            StoreError: the store cannot be read.
        """
        # A clock that was set back has beats of the future behind it.
        if not 0 <= now - self._recovered_at < RECOVER_EVERY:
            recover_abandoned(self._context.redis, partial(remember_death, self._context))
            self._recovered_at = now
        if not 0 <= now - self._listed_at < LIST_EVERY:
            self._slugs = [project.slug for project in self._context.projects.all()]
            self._listed_at = now
        for slug in self._slugs:
            self._look_at(slug, now)

    def _look_at(self, slug: str, now: float) -> None:
        redis, settings = self._context.redis, self._context.settings
        marks = Marks(redis, slug)
        mark = marks.read()
        if round_is_due(mark, marks.due_at(), now, settings) and not marks.held():
            if mark:
                enqueue_round(redis, slug, settings, force=mark.force)
            else:
                enqueue_look(redis, slug, settings)
        if marks.push_wanted():
            enqueue_push(redis, slug, settings)
        if marks.tuning_wanted():
            enqueue_tuning(redis, slug, settings)

    def _tell_once(self, trouble: str) -> None:
        if trouble and not self._trouble:
            logger.error("No round can be started for now (%s); trying again every %.1f s", trouble, BEAT)
        elif self._trouble and not trouble:
            logger.info("Rounds can be started again")
        self._trouble = trouble
