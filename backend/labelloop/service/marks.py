"""What events have hinted at, kept in Redis until a round looks. Losing it costs time, never a label."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from redis import Redis

_TAKE = """
local found = redis.call('hgetall', KEYS[1])
if #found > 0 then redis.call('hset', KEYS[2], unpack(found)) end
redis.call('del', KEYS[1])
return redis.call('hgetall', KEYS[2])
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """The hints about one project since the last round.

    Attributes:
        changes: labels that were created, changed or deleted, as far as events told.
        arrivals: tasks that came or went.
        first_at: Unix time of the first hint, 0.0 when there is none.
        last_at: Unix time of the last hint.
        force: somebody asked for a training.
        full: something went that an incremental pull cannot see.
    """

    changes: int = 0
    arrivals: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    force: bool = False
    full: bool = False

    def __bool__(self) -> bool:
        return bool(self.changes or self.arrivals or self.force or self.full)


class Marks:
    """The hints about one project.

    Args:
        redis: a connection; its errors pass through.
        slug: the project.
    """

    def __init__(self, redis: Redis, slug: str) -> None:
        self._redis = redis
        self._key = f"labelloop:{slug}:marks"
        self._taken_key = f"labelloop:{slug}:taken"
        self._due_key = f"labelloop:{slug}:due"
        self._held_key = f"labelloop:{slug}:held"
        self._push_key = f"labelloop:{slug}:push"
        self._anew_key = f"labelloop:{slug}:push-anew"
        self._begun_key = f"labelloop:{slug}:begun"
        self._tuning_key = f"labelloop:{slug}:tuning"
        self._heard_key = f"labelloop:{slug}:heard"

    def note(self, changes: int = 0, *, arrivals: int = 0, force: bool = False, full: bool = False) -> Mark:
        """Add a hint; returns all hints so far."""
        now = repr(time.time())
        with self._redis.pipeline() as pipe:
            pipe.hincrby(self._key, "changes", changes)
            pipe.hincrby(self._key, "arrivals", arrivals)
            pipe.hsetnx(self._key, "first_at", now)
            pipe.hset(self._key, "last_at", now)
            if force:
                pipe.hset(self._key, "force", 1)
            if full:
                pipe.hset(self._key, "full", 1)
            pipe.hgetall(self._key)
            return _mark(pipe.execute()[-1])

    def read(self) -> Mark:
        """All hints so far."""
        return _mark(self._redis.hgetall(self._key))

    def take(self) -> Mark:
        """All hints so far, and those that a round took which was killed before it could `settle` or `put_back`."""
        found: Any = self._redis.eval(_TAKE, 2, self._key, self._taken_key)
        return _mark(dict(zip(found[::2], found[1::2], strict=True)))

    def settle(self) -> None:
        """What was taken has been looked at."""
        self._redis.delete(self._taken_key)

    def put_back(self, mark: Mark) -> None:
        """What was taken is left to the next round."""
        self.note(mark.changes, arrivals=mark.arrivals, force=mark.force, full=mark.full)
        self.settle()

    def training_wanted(self) -> bool:
        """Whether somebody asked for a training that no round has done yet."""
        return any(self._redis.hexists(key, "force") for key in (self._key, self._taken_key))

    def due_at(self) -> float | None:
        """Unix time at which a round should look again without any event; None when nobody knows (Redis is new)."""
        value = self._redis.get(self._due_key)
        return float(value) if value is not None else None

    def set_due(self, at: float) -> None:
        """Ask for a round at that Unix time."""
        self._redis.set(self._due_key, repr(at))

    def hold(self, seconds: float) -> None:
        """Have no round begin for that long, whatever is hinted at; only somebody who asks for a training starts one."""
        self._redis.set(self._held_key, 1, px=max(1, round(seconds * 1000)))

    def held(self) -> bool:
        """Whether no round is to begin of itself."""
        return bool(self._redis.exists(self._held_key))

    def release(self) -> None:
        """Rounds may begin again."""
        self._redis.delete(self._held_key)

    def hear(self) -> None:
        """Count an event that hints at nothing; the doctor has Label Studio send one to see whether events arrive."""
        self._redis.incr(self._heard_key)

    def heard(self) -> int:
        """How many such events have arrived."""
        value = self._redis.get(self._heard_key)
        return int(value) if value is not None else 0

    def want_push(self, *, anew: bool = False) -> None:
        """Ask for a push, or for it to go on as soon as the one at hand has ended; or to begin anew, whatever is taken for written."""
        if anew:
            self._redis.set(self._anew_key, 1)
        self._redis.set(self._push_key, 1)

    def push_wanted(self) -> bool:
        """Whether a push is to begin or go on."""
        return bool(self._redis.exists(self._push_key))

    def push_wanted_anew(self) -> bool:
        """Whether it is to begin anew."""
        return bool(self._redis.exists(self._anew_key))

    def clear_push(self) -> None:
        """It has begun."""
        self._redis.delete(self._push_key, self._anew_key)

    def begin(self, job: str) -> Callable[[], bool]:
        """Be the project's job of that name from now on; what is returned tells whether another has begun since.

        Another may be at work: one that was forgotten when Redis lost its data.
        """
        key, name = f"{self._begun_key}:{job}", uuid4().hex
        self._redis.set(key, name)
        return lambda: self._redis.get(key) not in (None, name.encode())

    def want_tuning(self) -> None:
        """Ask for a fine-tuning to begin or go on when nothing more urgent waits."""
        self._redis.set(self._tuning_key, 1)

    def tuning_wanted(self) -> bool:
        """Whether a fine-tuning is to begin or go on."""
        return bool(self._redis.exists(self._tuning_key))

    def clear_tuning(self) -> None:
        """It has begun."""
        self._redis.delete(self._tuning_key)


def _mark(raw: Mapping[Any, Any]) -> Mark:
    return Mark(
        changes=int(raw.get(b"changes", 0)),
        arrivals=int(raw.get(b"arrivals", 0)),
        first_at=float(raw.get(b"first_at", 0.0)),
        last_at=float(raw.get(b"last_at", 0.0)),
        force=b"force" in raw,
        full=b"full" in raw,
    )
