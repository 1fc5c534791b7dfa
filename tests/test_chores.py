"""What is cleared up after a push."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from labelloop.errors import LabelStudioUnreachable
from labelloop.service import jobs
from labelloop.service.chores import SLICE, _clear, tidy
from labelloop.service.context import Context
from labelloop.service.marks import Marks
from labelloop.service.projects import Project
from labelloop.service.push_state import PushState, read_push, write_push
from support.redis_process import RedisProcess
from support.serving import a_context, a_project, publish


def test_a_clearing_that_breaks_off_has_label_studio_asked_what_it_holds(
    tmp_path: Path, redis_server: RedisProcess
) -> None:
    context = a_context(tmp_path, redis_server.url, push_first=2)
    project = a_project(context)
    push = PushState(publish(context, project).name, {n: n / 10 for n in range(6)}, set(range(6)), True, certain=True)

    def away(project_id: int, tasks: list[int]) -> int:
        raise LabelStudioUnreachable("It does not answer.")

    vars(context)["label_studio"] = SimpleNamespace(clear_predictions=away)
    live = context.versions(project).live()
    assert live is not None
    with pytest.raises(LabelStudioUnreachable):
        _clear(context, project, live, push, lambda: False)
    left = read_push(context.store, project.folder)
    assert left is not None
    assert (left.done, left.certain) == ({0, 1}, False)
    context.redis.close()


def test_a_clearing_gives_way_to_a_version_that_another_worker_publishes(
    tmp_path: Path, redis_server: RedisProcess
) -> None:
    context = a_context(tmp_path, redis_server.url, push_first=1, prune_every=1)
    project = a_project(context)
    live, tasks = publish(context, project).name, range(10 * SLICE)
    scores = {n: n / len(tasks) for n in tasks}
    write_push(context.store, project.folder, PushState(live, scores, set(tasks), switched=True, certain=True))
    cleared: list[int] = []

    def clear(project_id: int, some: list[int]) -> int:
        cleared.extend(some)
        if len(cleared) == 2 * SLICE:
            publish(context, project)
        return len(some)

    held = {live: len(tasks), "v0-20260101-000000": len(tasks)}
    vars(context)["label_studio"] = SimpleNamespace(clear_predictions=clear, model_versions=lambda _: dict(held))
    assert tidy(context, project, lambda: False), "what was cleared is to be written again"
    assert len(cleared) == 2 * SLICE
    context.redis.close()


def test_a_push_that_takes_longer_than_a_job_may_goes_on_in_another(
    context: Context, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]

    def part(*_: object) -> bool:
        clock[0] += 100
        return True

    monkeypatch.setattr(jobs, "push_part", part)
    monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    jobs._push(context, project)
    assert clock[0] < context.settings.job_timeout
    assert Marks(context.redis, project.slug).push_wanted()
