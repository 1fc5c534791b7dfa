"""What cannot be read is set aside until its task changes, or the settings that refused it do."""

import logging
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from labelloop.labelstudio import TaskRecord, parse_label_config, rules_of
from labelloop.learning import BackboneSpec, resolve_backbone
from labelloop.records import Modality
from labelloop.service.context import Context
from labelloop.service.embedding import Embedded, Embedder
from labelloop.service.state import BrokenItem, note_broken, read_broken
from support.paper import CREATED, PaperStudio, label, opened
from support.redis_process import RedisProcess
from support.serving import IMAGE_CONFIG, a_context, a_project, images
from support.site import Site

SPEC = BackboneSpec(Modality.IMAGE, "plain")


def _embedded(context: Context, tasks: dict[int, TaskRecord]) -> Embedded:
    """As a part of a push embeds: what is set aside is known, and noted."""
    project = a_project(context, IMAGE_CONFIG)
    (control,) = parse_label_config(IMAGE_CONFIG).controls
    known = read_broken(context.store, project.folder)
    found = Embedder(context, project, control, SPEC, resolve_backbone(SPEC), known).embed(
        list(tasks.values()), lambda *_: None
    )
    note_broken(context, project, found.broken, tasks)
    return found


def _told_of(context: Context) -> list[int]:
    return [task_id for task_id, _ in read_broken(context.store, a_project(context, IMAGE_CONFIG).folder)]


def test_what_the_settings_refused_is_read_once_they_allow_it(tmp_path: Path, redis_server: RedisProcess) -> None:
    with Site() as site:
        site.pages["/x.png"] = b"no image"
        address = f"{site.url}/x.png"
        tasks = {1: TaskRecord(1, {"image": address}, "2026"), 2: TaskRecord(2, {"image": "no address"}, "2026")}
        strict = a_context(tmp_path, redis_server.url)
        assert "add it there" in next(iter(_embedded(strict, tasks).broken.values())).reason
        assert site.asked == []

        open_to_it = a_context(tmp_path, redis_server.url, media_hosts=[urlsplit(address).netloc])
        _embedded(open_to_it, tasks)
        assert len(site.asked) == 1
        assert _told_of(open_to_it) == [1, 2], "it is no image"
        _embedded(open_to_it, tasks)
        assert len(site.asked) == 1
        strict.redis.close()
        open_to_it.redis.close()


def test_other_settings_have_the_queue_of_nothing_learnt_ordered_anew(
    tmp_path: Path, redis_server: RedisProcess
) -> None:
    """People would label what was refused before in the order of its numbers, and be told that it still is."""
    studio = PaperStudio("4")
    strict, project = opened(tmp_path, redis_server, studio)
    first = label(strict, project, studio, 0)
    refused = {(3, "text:text"): BrokenItem("not allowed", CREATED, rules_of(strict.settings))}
    note_broken(strict, project, refused, {3: TaskRecord(3, {}, CREATED)})
    assert label(strict, project, studio, 0) == first
    assert read_broken(strict.store, project.folder) == refused

    open_to_it, _ = opened(tmp_path, redis_server, studio, media_hosts=["media.example"])
    second = label(open_to_it, project, studio, 0)
    assert second.startswith("v2-") and second.endswith("-cold")
    assert read_broken(strict.store, project.folder) == {}
    assert label(open_to_it, project, studio, 0) == second
    strict.redis.close()
    open_to_it.redis.close()


def test_the_log_tells_of_tasks_without_what_the_config_asks_for_in_one_line(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    """The very thing that is wrong of all tasks at once would fill it."""
    _embedded(context, {number: TaskRecord(number, {"picture": "x"}, "2026") for number in range(1, 51)})
    _embedded(
        context, {number: TaskRecord(number, {"image": f"no address {number}"}, "2026") for number in range(51, 90)}
    )
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told[0] == (
        "Project 4: 50 tasks, such as 1, are set aside: there is no 'image' in its data; the label config asks for it"
    )
    assert told[-1] == "Project 4: 29 more tasks are set aside for other reasons"
    assert len(told) == 12


def test_a_mended_task_is_not_told_of_any_more(context: Context) -> None:
    ((sound, _),) = images(1)
    assert _embedded(context, {1: TaskRecord(1, {"image": "no address"}, "2026-01")}).ids == []
    assert _told_of(context) == [1]
    assert _embedded(context, {1: TaskRecord(1, {"image": sound}, "2026-02")}).ids == [1]
    assert _told_of(context) == []
