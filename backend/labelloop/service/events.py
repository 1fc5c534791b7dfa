"""What is done with an event: a hint is left in Redis, and a round is asked for when enough have gathered.

Nothing is read or computed here, so the annotator's submit, in which Label Studio sends the event, is not held up. A hint that
is lost costs time only: the next reconciliation finds the change in Label Studio.
"""

import logging
from collections.abc import Callable
from typing import Any

from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from labelloop.errors import LabelloopError
from labelloop.labelstudio import Event, ProjectKey, read_event
from labelloop.service.context import Context
from labelloop.service.live import LiveModels
from labelloop.service.marks import Mark, Marks
from labelloop.service.projects import Project
from labelloop.service.queueing import ROUND_PREFIX, connect_redis, enqueue_round, job_state, round_id

logger = logging.getLogger(__name__)

REDIS_TIMEOUT = 0.3
"""Seconds one command may take; Label Studio waits one second for the whole answer."""
Answer = dict[str, Any]


class Events:
    """Takes Label Studio's events.

    Args:
        context: settings and the names of projects.
        live: what is known of projects, in memory.
    """

    def __init__(self, context: Context, live: LiveModels) -> None:
        self._settings = context.settings
        self._projects = context.projects
        self._live = live
        self._asked: dict[str, float] = {}
        self._redis = connect_redis(context.settings, REDIS_TIMEOUT)
        # The client's own retries wait for seconds between attempts, which is longer than Label Studio waits.
        self._redis.set_retry(Retry(NoBackoff(), 0))

    def take(self, payload: object) -> Answer:
        """Do what an event calls for.

        Args:
            payload: the body of a webhook, or of START_TRAINING.

        Returns:
            `status` (`noted`, `queued`, `ignored` or `not noted`), a sentence in `detail`, and `job` where one was asked for.

        Raises:
            PayloadError: the payload is not an object.
        """
        event = read_event(payload)
        key = event.project
        if key is None:
            return _answer("ignored", "The event names no project.")
        config_changed = bool(event.label_config) and self._live.hear(key, event.label_config or "", event.title)
        if event.start_training:
            return self.train(key)
        return self._guarded(key, lambda: self._note(event, key, config_changed))

    def train(self, key: ProjectKey) -> Answer:
        """Ask for a training at once, whatever has changed; answers as `take` does."""
        return self._guarded(key, lambda: self._start_round(key))

    def job_status(self, job: str) -> Answer:
        """Where a round that was asked for stands: `job_status` is RQ's word for it, `gone` when it has ended."""
        if not (job.startswith(ROUND_PREFIX) and job.isascii()):
            return _answer("ignored", "No training has such a name.")
        try:
            state = job_state(self._redis, job) or "gone"
        except RedisError:
            return _answer("unknown", "Redis does not answer.")
        return _answer("ok", f"The round is {state}.") | {"job": job, "job_status": state}

    def config_changed(self, project: Project, is_new: bool) -> None:
        """Let a round look at a project soon: it is new, or its label config has changed, which calls for a training."""
        try:
            if not is_new:
                Marks(self._redis, project.slug).note(force=True)
            enqueue_round(self._redis, project.slug, self._settings, force=not is_new)
        except RedisError as error:
            logger.error("The label config of project %s is left to the next reconciliation: %s", project.slug, error)

    def _guarded(self, key: ProjectKey, act: Callable[[], Answer]) -> Answer:
        try:
            return act()
        except (RedisError, LabelloopError) as error:
            logger.error("An event of project %s could not be noted: %s", key, error)
            return _answer("not noted", "Redis does not answer; the next reconciliation will find what has changed.")

    def _start_round(self, key: ProjectKey) -> Answer:
        slug = self._projects.slug(key)
        Marks(self._redis, slug).note(force=True)
        fresh = enqueue_round(self._redis, slug, self._settings, force=True)
        detail = "A training was asked for." if fresh else "A round is at work already; a training follows it."
        return _answer("queued", detail) | {"job": round_id(slug)}

    def _note(self, event: Event, key: ProjectKey, config_changed: bool) -> Answer:
        slug = self._projects.slug(key)
        arrivals = event.new_tasks + event.deleted_tasks
        if not event.changes and not arrivals:
            Marks(self._redis, slug).hear()
            if config_changed:
                return _answer(
                    "noted", "The label config is another one: a round follows if it asks for something else."
                )
            return _answer("ignored", f"{event.action!a:.60} changes nothing that is learnt from.")
        marks = Marks(self._redis, slug)
        mark = marks.note(event.changes, arrivals=arrivals, full=event.deletions > 0)
        if mark.changes >= self._settings.train_after and not marks.held() and self._ask_once(slug, mark):
            answer = _answer("queued", f"{mark.changes} changes have gathered: a round starts.")
            return answer | {"job": round_id(slug)}
        return _answer(
            "noted", f"{mark.changes} of {self._settings.train_after} changes, {mark.arrivals} tasks came or went."
        )

    def _ask_once(self, slug: str, mark: Mark) -> bool:
        """Ask for a round, once until a round takes the mark away; whatever comes of that, the ticker asks again."""
        if self._asked.get(slug) == mark.first_at:
            return False
        self._asked[slug] = mark.first_at
        return enqueue_round(self._redis, slug, self._settings)


def _answer(status: str, detail: str) -> Answer:
    return {"status": status, "detail": detail}
