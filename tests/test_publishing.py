"""What a push tells the strategy of the live version's model and of its predictions."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from labelloop.errors import MediaUnavailable
from labelloop.labelstudio import TaskRecord
from labelloop.service import embedding, publisher
from labelloop.service.book import Book
from labelloop.service.context import Context
from labelloop.service.embedding import Embedded, Embedder
from labelloop.service.ordering import Known, score_queue
from labelloop.service.projects import Project
from labelloop.service.push_state import PushState, write_push
from labelloop.service.reading import media_of
from labelloop.service.versions import Version
from support.conditional import DAMAGES
from support.kinds import KINDS
from support.redis_process import RedisProcess
from support.serving import a_context, a_project
from support.trained_kinds import book_of, train


@pytest.mark.parametrize(("kind", "remembered"), [("translation", True), ("spans", False), ("rating", False)])
def test_a_push_says_whether_answers_are_those_of_the_nearest_label(
    tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch, kind: str, remembered: bool
) -> None:
    made, told = KINDS[kind], list[Known]()
    context = a_context(tmp_path, redis_server.url, text_backbone="plain")
    project = a_project(context, made.config)
    version, _ = train(context, project, book_of(made, 50, 30))
    write_push(context.store, project.folder, PushState(version.name, certain=True))  # Label Studio holds nothing yet

    def scored(*args: Any, **more: Any) -> Any:
        told.append(args[6])
        return score_queue(*args, **more)

    monkeypatch.setattr(publisher, "score_queue", scored)
    push = publisher._Push(context, project, version, lambda *_: None, set())
    push.prepare()

    assert [known.remembered for known in told][-1] is remembered
    assert push.next_chunk()
    context.redis.close()


def test_a_push_goes_by_what_annotators_will_be_asked(
    tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[int, Any]] = []
    context = a_context(tmp_path, redis_server.url, text_backbone="plain")
    project = a_project(context, DAMAGES.config)
    version, _ = train(context, project, book_of(DAMAGES, 60, 40))
    write_push(context.store, project.folder, PushState(version.name, certain=True))  # Label Studio holds nothing yet

    def scored(*args: Any, **more: Any) -> Any:
        told.append(args[3])
        return score_queue(*args, **more)

    monkeypatch.setattr(publisher, "score_queue", scored)
    publisher._Push(context, project, version, lambda *_: None, set()).prepare()

    counted = {said["damage"].label: set(said) for said in told[-1].values()}
    assert counted == {"no": {"damage"}, "yes": {"damage", "severity"}}
    context.redis.close()


@pytest.mark.parametrize("strategy", ["falcun", "bald"])
def test_the_margins_of_a_hidden_control_are_those_of_what_people_are_asked(
    tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    told: list[tuple[Any, Any, Any, Any]] = []
    context = a_context(tmp_path, redis_server.url, text_backbone="plain", strategy=strategy)
    damage, severity = DAMAGES.config.index("<Choices"), DAMAGES.config.rindex("<Choices")
    first, second = DAMAGES.config[damage:severity], DAMAGES.config[severity : -len("</View>")]
    project = a_project(context, DAMAGES.config.replace(first + second, second + first))
    version, _ = train(context, project, book_of(DAMAGES, 60, 40))
    assert version.leading.control.name == "severity"
    write_push(context.store, project.folder, PushState(version.name, certain=True))

    def scored(*args: Any, **more: Any) -> Any:
        told.append((args[3], args[4].ids, args[5], more["members"]))
        return score_queue(*args, **more)

    monkeypatch.setattr(publisher, "score_queue", scored)
    publisher._Push(context, project, version, lambda *_: None, set()).prepare()

    counted, ids, probabilities, members = told[-1]
    hidden = [row for row, i in enumerate(ids) if "severity" not in counted[i]]
    assert 0 < len(hidden) < len(ids)
    ranked = np.sort(probabilities[hidden], axis=1)
    doubts = [counted[ids[row]]["damage"].uncertainty for row in hidden]
    np.testing.assert_allclose(1 - (ranked[:, -1] - ranked[:, -2]), doubts, atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    if strategy == "bald":
        assert (members[:, hidden] == probabilities[hidden]).all()
    context.redis.close()


def _pushing(context: Context, kind: str, count: int, taught: int) -> tuple[Project, Version, Book]:
    """A made project whose version is live, of whose scores Label Studio holds none."""
    made = KINDS[kind]
    project = a_project(context, made.config)
    book = book_of(made, count, taught)
    version, _ = train(context, project, book)
    write_push(context.store, project.folder, PushState(version.name, switched=True, certain=True))
    vars(context)["label_studio"] = SimpleNamespace(import_predictions=lambda project_id, items: len(items))
    return project, version, book


def test_what_could_not_be_had_is_not_asked_for_in_every_part_of_a_push(
    tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = a_context(tmp_path, redis_server.url, text_backbone="plain")
    project, *_ = _pushing(context, "rating", 60, 30)
    asked: list[int] = []

    def away(context: Context, control: Any, task_id: int, value: object) -> Any:
        asked.append(task_id)
        if task_id <= 35:
            raise MediaUnavailable("The host is away.")
        return media_of(context, control, task_id, value)

    monkeypatch.setattr(embedding, "media_of", away)
    monkeypatch.setattr(publisher, "EMBED_SLICE", 10)
    unavailable: set[int] = set()
    while publisher.push_part(context, project, lambda *_: None, unavailable):
        pass
    assert unavailable == set(range(31, 36))
    assert len(asked) == len(set(asked))
    context.redis.close()


def test_the_features_of_what_waits_for_others_are_not_read(
    tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = a_context(tmp_path, redis_server.url, text_backbone="plain")
    project, version, book = _pushing(context, "rating", 60, 30)
    push = publisher._Push(context, project, version, lambda *_: None, set())
    waiting = [book.tasks[number] for number in range(31, 61)]
    push._embedders[version.leading.control.name].embed(waiting[:12], lambda *_: None)
    read: list[set[int]] = []
    cached = Embedder.cached

    def noted(embedder: Embedder, tasks: Sequence[TaskRecord]) -> Embedded:
        read.append({task.id for task in tasks})
        return cached(embedder, tasks)

    monkeypatch.setattr(Embedder, "cached", noted)
    push.prepare()
    assert [ids for ids in read if min(ids) > 30] == [set(range(31, 43))]
    context.redis.close()


@pytest.mark.parametrize("kind", ["polygons", "rating"])
def test_an_import_is_bounded_in_bytes_and_what_does_not_fit_goes_in_the_next(
    tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    context = a_context(tmp_path, redis_server.url, text_backbone="plain", image_backbone="plain")
    project, *_ = _pushing(context, kind, 50, 20)
    bodies: list[list[Any]] = []

    def take(project_id: int, items: list[Any]) -> int:
        bodies.append(items)
        return len(items)

    context.label_studio.import_predictions = take  # type: ignore[method-assign]
    monkeypatch.setattr(publisher, "BODY_MOST", 2000)
    monkeypatch.setattr(publisher, "PREDICT_SLICE", 7)
    while publisher.push_part(context, project, lambda *_: None, set()):
        pass
    assert sorted(item["task"] for body in bodies for item in body) == list(range(21, 51))
    assert len(bodies) > 2
    assert all(len(body) == 1 or len(json.dumps(body)) < 2100 for body in bodies)
    context.redis.close()


def test_media_are_embedded_before_they_fill_the_memory(
    tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = a_context(tmp_path, redis_server.url, text_backbone="plain")
    project, version, book = _pushing(context, "rating", 300, 30)
    sizes: list[int] = []
    whole = embedding.embed_whole

    def noted(backbone: Any, spec: Any, media: list[str]) -> Any:
        sizes.append(sum(map(len, media)))
        return whole(backbone, spec, media)

    monkeypatch.setattr(embedding, "embed_whole", noted)
    monkeypatch.setattr(embedding, "CHUNK_BYTES", 2000)
    push = publisher._Push(context, project, version, lambda *_: None, set())
    embedder = push._embedders[version.leading.control.name]
    found = embedder.embed([book.tasks[number] for number in range(31, 301)], lambda *_: None)
    assert len(found.ids) == 270
    longest = max(len(str(task.data["text"])) for task in book.tasks.values())
    assert max(sizes) < 2000 + embedding.FETCHED_AT_ONCE * longest
    context.redis.close()
