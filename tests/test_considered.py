"""Labels whose media cannot be had are tried again, and not at every look."""

from pathlib import Path
from typing import Any

import pytest

from labelloop.errors import MediaUnavailable
from labelloop.service import embedding
from labelloop.service.considered import FIRST_WAIT, LONGEST_WAIT, Considered, read_considered, write_considered
from labelloop.service.store import Store
from support.paper import PaperStudio, label, opened
from support.redis_process import RedisProcess

LABELS = {"topic": {"1": "a", "2": "b"}}


def test_missed_labels_count_as_seen_until_their_time() -> None:
    left = Considered().after(LABELS, {}, {2}, now=1000.0)

    assert left.labels_at(1000.0 + FIRST_WAIT - 1) == LABELS
    assert left.labels_at(1000.0 + FIRST_WAIT) == {"topic": {"1": "a"}}
    assert left.labels_at(1000.0 - LONGEST_WAIT) == {"topic": {"1": "a"}}  # the clock was set back


def test_each_miss_in_a_row_waits_longer_up_to_an_hour() -> None:
    left, waits = Considered(), list[float]()
    for _ in range(10):
        left = left.after(LABELS, {}, {2}, now=0.0)
        waits.append(left.again_at)

    assert waits[:3] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]
    assert waits[-1] == LONGEST_WAIT
    assert left.after(LABELS, {}, set(), now=0.0) == Considered(LABELS)


def test_what_was_considered_is_kept(tmp_path: Path) -> None:
    store, left = Store(str(tmp_path)), Considered().after(LABELS, {"topic": ["Choices", "a"]}, {2}, now=5.0)
    assert read_considered(store, "p") == Considered()
    write_considered(store, "p", left)

    assert read_considered(store, "p") == left


def test_media_that_stays_away_publishes_no_version_after_the_other(
    tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = PaperStudio("4")
    context, project = opened(tmp_path, redis_server, studio, train_quiet=0)
    had = embedding.media_of

    def away(given: Any, control: Any, task_id: int, value: object) -> Any:
        if task_id == 3:
            raise MediaUnavailable("The host does not answer.")
        return had(given, control, task_id, value)

    monkeypatch.setattr(embedding, "media_of", away)
    live = label(context, project, studio, 12)
    assert live
    assert [label(context, project, studio, 12) for _ in range(3)] == [live] * 3
    monkeypatch.setattr(embedding, "media_of", had)
    later = label(context, project, studio, 17)
    assert len(context.versions(project).labels(later)["labels"]["topic"]) == 17
    context.redis.close()
