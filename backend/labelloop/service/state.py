"""What people want to know of a project: the outcome of the last round, in the store, and what runs now, in Redis."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from redis import Redis
from redis.exceptions import RedisError

from labelloop.labelstudio import TaskRecord, rules_of
from labelloop.service.context import Context
from labelloop.service.projects import Project
from labelloop.service.store import Store

T = TypeVar("T")

PROGRESS_TTL = 120
ROUND, PUSH, TUNING = "round", "push", "fine-tuning"
"""The kinds of jobs a project has."""
BACK_OFF_FIRST, BACK_OFF_MOST = 5.0, 300.0


Place = tuple[int, str]
"""A task's id, and which of its objects: of several, each may be readable or not."""


@dataclass(frozen=True, slots=True)
class BrokenItem:
    """An object of a task, set aside because its media or data cannot be read.

    Attributes:
        reason: one sentence.
        updated_at: the task's `updated_at` then.
        rules: what it was judged by; see `labelstudio.rules_of`.
    """

    reason: str
    updated_at: str
    rules: str = ""

    def holds(self, task: TaskRecord | None, rules: str) -> bool:
        """Whether the task would be judged so again; one that has changed, or is judged by other rules, is tried again."""
        return task is not None and (self.updated_at, self.rules) == (task.updated_at, rules)


@dataclass(frozen=True, slots=True)
class Failure:
    """What a kind of job last failed of.

    Attributes:
        reason: one sentence.
        times: how often in a row.
    """

    reason: str
    times: int


@dataclass(frozen=True, slots=True)
class ProjectState:
    """What the last round left behind.

    Attributes:
        tasks: tasks in the project.
        labels: tasks with a usable label.
        pool: tasks without one.
        queue: tasks that Label Studio still serves.
        annotations: answers people gave, skips left out.
        hours: hours people had tasks open, skips included.
        changes: labels changed since the last training.
        first_change_at: Unix time at which the first of them was seen.
        last_change_at: Unix time at which the latest was seen.
        waiting_for: why no training runs now.
        stopped: why none starts by itself any more; empty while they do.
        last_round_at: ISO time.
        last_training_at: ISO time; empty before the first.
        last_training: what came of it: published as …, or refused because …, or both where there are several controls.
        last_refusal: why the gate last refused a candidate; empty once a training ends in a version and without a refusal.
        unsupported: controls Labelloop does not learn, one line each.
        set_aside: notes about labels that are not used, one line each.
        findings: what is wrong with the labelled tasks, and what the last training did about it, one line each.
        broken: what is set aside, by task and object.
        failing: what keeps failing, by the name of the job: one that goes well says nothing of another.
    """

    tasks: int = 0
    labels: int = 0
    pool: int = 0
    queue: int = 0
    annotations: int = 0
    hours: float = 0.0
    changes: int = 0
    first_change_at: float = 0.0
    last_change_at: float = 0.0
    waiting_for: str = ""
    stopped: str = ""
    last_round_at: str = ""
    last_training_at: str = ""
    last_training: str = ""
    last_refusal: str = ""
    unsupported: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    broken: dict[Place, BrokenItem] = field(default_factory=dict)
    failing: dict[str, Failure] = field(default_factory=dict)

    @property
    def error(self) -> str:
        """Why the last round, push or fine-tuning failed; empty when none did."""
        return " ".join(map(self.error_of, self.failing))

    def error_of(self, job: str) -> str:
        """Why the last job of that name failed; empty when it did not."""
        return f"{job}: {self.failing[job].reason}" if job in self.failing else ""


_ADAPTER = TypeAdapter(ProjectState)
_BROKEN = TypeAdapter(list[tuple[Place, BrokenItem]])


def read_state(store: Store, folder: str) -> ProjectState:
    """The state of the project in that folder; a fresh one when there is none."""
    state = _validated(_ADAPTER, store.read(f"{folder}/state.json")) or ProjectState()
    return replace(state, broken=read_broken(store, folder))


def write_state(store: Store, folder: str, state: ProjectState) -> None:
    """Keep the state of the project in that folder, save for the broken items, which rounds and pushes note as they meet them."""
    store.write(f"{folder}/state.json", _ADAPTER.dump_json(state, exclude={"broken"}))


def read_broken(store: Store, folder: str) -> dict[Place, BrokenItem]:
    """What of the project's tasks is set aside."""
    return dict(_validated(_BROKEN, store.read(f"{folder}/broken.json")) or ())


def by_reason(found: Iterable[tuple[int, BrokenItem]]) -> list[tuple[str, list[int]]]:
    """Each reason with the tasks that are set aside for it, of what tells of one task each; the most frequent first."""
    tasks: dict[str, list[int]] = {}
    for task_id, note in found:
        tasks.setdefault(note.reason, []).append(task_id)
    return sorted(tasks.items(), key=lambda one: -len(one[1]))


def note_broken(
    context: Context, project: Project, found: Mapping[Place, BrokenItem], tasks: Mapping[int, TaskRecord]
) -> None:
    """Set objects aside, and forget those that would be tried again, or whose task is no longer among `tasks`."""
    before, rules = read_broken(context.store, project.folder), rules_of(context.settings)
    after = {place: note for place, note in {**before, **found}.items() if note.holds(tasks.get(place[0]), rules)}
    if after != before:
        context.store.write(f"{project.folder}/broken.json", _BROKEN.dump_json(list(after.items())))


def failed(state: ProjectState, job: str, reason: str) -> ProjectState:
    """The state after one more job of that name failed."""
    before = state.failing.get(job)
    failure = Failure(reason, before.times + 1 if before else 1)
    return replace(state, failing={**state.failing, job: failure}, last_round_at=now_iso())


def went_well(state: ProjectState, job: str) -> ProjectState:
    """The state after a job of that name did not fail."""
    return replace(state, failing={name: failure for name, failure in state.failing.items() if name != job})


def back_off(failures: int) -> float:
    """Seconds to wait after that many failures in a row: 5, 10, 20, … at most 300."""
    return float(min(BACK_OFF_MOST, BACK_OFF_FIRST * 2 ** max(0, failures - 1)))


def now_iso() -> str:
    """The time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


Progress = Callable[[str, int, int], None]
"""Told (step, done, total) as work goes on."""


def progress_to(redis: Redis, slug: str) -> Progress:
    """A Progress that others can read; it keeps silent when Redis is gone."""
    since = now_iso()

    def report(step: str, done: int, total: int) -> None:
        value = json.dumps({"step": step, "done": done, "total": total, "since": since})
        try:
            redis.set(_key(slug), value, ex=PROGRESS_TTL)
        except RedisError:
            return

    return report


def read_progress(redis: Redis, slug: str) -> dict[str, Any] | None:
    """What a worker does for the project now: step, done, total, since; None when nothing runs."""
    value: Any = redis.get(_key(slug))
    return dict(json.loads(value)) if value else None


def clear_progress(redis: Redis, slug: str) -> None:
    """Say that nothing runs."""
    redis.delete(_key(slug))


def _validated(adapter: TypeAdapter[T], data: bytes | None) -> T | None:
    try:
        return adapter.validate_json(data) if data else None
    except ValidationError:  # of another release; these are only reports, written anew by the next round
        return None


def _key(slug: str) -> str:
    return f"labelloop:{slug}:progress"
