"""What a push tells the strategy of the live version's model and of its predictions."""

import inspect
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from labelloop.errors import LabelStudioRejected, MediaUnavailable
from labelloop.labelstudio import TaskRecord
from labelloop.records import predictions
from labelloop.service import embedding, jobs, publisher, scoring
from labelloop.service.book import Book, write_book
from labelloop.service.context import Context
from labelloop.service.embedding import Embedded, Embedder
from labelloop.service.ordering import score_queue
from labelloop.service.projects import Project
from labelloop.service.push_state import PushState, write_push
from labelloop.service.reading import media_of
from support.conditional import DAMAGES
from support.kinds import KINDS, Made
from support.redis_process import RedisProcess
from support.serving import a_context, a_project, push_all
from support.trained_kinds import book_of, train


@pytest.fixture
def context(tmp_path: Path, redis_server: RedisProcess) -> Iterator[Context]:
    opened = a_context(tmp_path, redis_server.url, text_backbone="plain", image_backbone="plain")
    yield opened
    opened.redis.close()


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[inspect.BoundArguments]:
    """What scores were made from, each time."""
    told: list[inspect.BoundArguments] = []

    def noted(*args: Any, **more: Any) -> Any:
        told.append(inspect.signature(score_queue).bind(*args, **more))
        return score_queue(*args, **more)

    monkeypatch.setattr(scoring, "score_queue", noted)
    return told


def _pushing(context: Context, made: Made, count: int, taught: int) -> tuple[publisher._Push, Project, Book]:
    """A push of a made project whose version is live, of whose scores Label Studio holds none."""
    project = a_project(context, made.config)
    book = book_of(made, count, taught)
    version, _ = train(context, project, book)
    write_push(context.store, project.folder, PushState(version.name, switched=True, certain=True))
    vars(context)["label_studio"] = SimpleNamespace(import_predictions=lambda project_id, items: len(items))
    return publisher._Push(context, project, version, lambda *_: None, set(), lambda: False), project, book


@pytest.mark.parametrize(("kind", "remembered"), [("translation", True), ("spans", False), ("rating", False)])
def test_a_push_says_whether_answers_are_those_of_the_nearest_label(
    context: Context, scored: list[inspect.BoundArguments], kind: str, remembered: bool
) -> None:
    push, *_ = _pushing(context, KINDS[kind], 50, 30)
    push.prepare()
    assert scored[-1].arguments["known"].remembered is remembered
    assert push.next_chunk()


def test_a_push_goes_by_what_annotators_will_be_asked(context: Context, scored: list[inspect.BoundArguments]) -> None:
    push, *_ = _pushing(context, DAMAGES, 60, 40)
    push.prepare()
    counted = {said["damage"].label: set(said) for said in scored[-1].arguments["predictions"].values()}
    assert counted == {"no": {"damage"}, "yes": {"damage", "severity"}}


@pytest.mark.parametrize("strategy", ["falcun", "bald"])
def test_the_margins_of_a_hidden_control_are_those_of_what_people_are_asked(
    context: Context, scored: list[inspect.BoundArguments], strategy: str
) -> None:
    context.settings = context.settings.model_copy(update={"strategy": strategy})
    damage, severity = DAMAGES.config.index("<Choices"), DAMAGES.config.rindex("<Choices")
    first, second = DAMAGES.config[damage:severity], DAMAGES.config[severity : -len("</View>")]
    turned = replace(DAMAGES, config=DAMAGES.config.replace(first + second, second + first))
    push, *_ = _pushing(context, turned, 60, 40)
    assert push._version.leading.control.name == "severity"
    push.prepare()

    told = scored[-1].arguments
    counted, ids, probabilities = told["predictions"], told["features"].ids, told["probabilities"]
    hidden = [row for row, i in enumerate(ids) if "severity" not in counted[i]]
    assert 0 < len(hidden) < len(ids)
    ranked = np.sort(probabilities[hidden], axis=1)
    doubts = [counted[ids[row]]["damage"].uncertainty for row in hidden]
    np.testing.assert_allclose(1 - (ranked[:, -1] - ranked[:, -2]), doubts, atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    if strategy == "bald":
        assert (told["members"][:, hidden] == probabilities[hidden]).all()


def test_what_could_not_be_had_is_not_asked_for_in_every_part_of_a_push(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, project, _ = _pushing(context, KINDS["rating"], 60, 30)
    asked: list[int] = []

    def away(context: Context, control: Any, task_id: int, value: object) -> Any:
        asked.append(task_id)
        if task_id <= 35:
            raise MediaUnavailable("The host is away.")
        return media_of(context, control, task_id, value)

    monkeypatch.setattr(embedding, "media_of", away)
    monkeypatch.setattr(scoring, "EMBED_SLICE", 10)
    assert push_all(context, project) == set(range(31, 36))
    assert len(asked) == len(set(asked))


def test_the_features_of_what_waits_for_others_are_not_read(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    push, _, book = _pushing(context, KINDS["rating"], 60, 30)
    waiting = [book.tasks[number] for number in range(31, 61)]
    push._scorer._embedders[push._version.leading.control.name].embed(waiting[:12], lambda *_: None)
    read: list[set[int]] = []
    cached = Embedder.cached

    def noted(embedder: Embedder, tasks: Sequence[TaskRecord]) -> Embedded:
        read.append({task.id for task in tasks})
        return cached(embedder, tasks)

    monkeypatch.setattr(Embedder, "cached", noted)
    push.prepare()
    assert [ids for ids in read if min(ids) > 30] == [set(range(31, 43))]


def test_a_push_that_another_worker_takes_over_ends_with_what_it_is_writing(context: Context) -> None:
    """As after Redis lost its data in the middle of a push: nobody knows of its job any more, so a second begins."""
    context.settings = context.settings.model_copy(update={"push_first": 20, "push_chunk": 20})
    _, project, book = _pushing(context, KINDS["rating"], 230, 30)
    write_book(context.store, project.folder, book)
    live = context.versions(project).live_name()
    held: Counter[int] = Counter()
    underway = threading.Event()

    def slowly(_: int, items: list[dict[str, Any]]) -> int:
        underway.set()
        time.sleep(0.1)
        held.update(item["task"] for item in items)
        return len(items)

    vars(context)["label_studio"] = SimpleNamespace(
        import_predictions=slowly,
        model_versions=lambda _: {live: held.total()} if held else {},
        tasks_without=lambda *_: [i for i in book.tasks if i not in held],
    )
    first = threading.Thread(target=jobs._push, args=(context, project))
    first.start()
    assert underway.wait(10)
    jobs._push(context, project)
    first.join()

    assert len(held) == 200 and not publisher.push_is_due(context, project, book)
    assert held.total() <= 200 + 20


def test_regions_that_are_too_many_to_show_are_told_of_once(
    context: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(predictions, "MOST_SHOWN", 1)
    monkeypatch.setattr(scoring, "MOST_SHOWN", 1)
    push, *_ = _pushing(context, KINDS["spans"], 40, 30)
    sent: list[dict[str, Any]] = []
    vars(context)["label_studio"] = SimpleNamespace(
        import_predictions=lambda _, items: sent.extend(items) or len(items)
    )
    push.prepare()
    push.send(push.next_chunk())

    cut = [item["task"] for item in sent if item["task"] in push._scorer.cut]
    assert cut and max(len(item["result"]) for item in sent) == 1
    told = [record.message for record in caplog.records if "surest regions" in record.message]
    assert len(told) == 1 and f"of {len(cut)} task(s), the first being {cut[0]}" in told[0]


@pytest.mark.parametrize("scores_too", [False, True])
def test_a_task_whose_regions_label_studio_does_not_keep_gets_its_score_and_holds_up_no_other(
    context: Context, scores_too: bool
) -> None:
    _, project, book = _pushing(context, KINDS["rating"], 50, 20)
    kept: dict[int, dict[str, Any]] = {}

    def take(project_id: int, items: list[dict[str, Any]]) -> int:
        """As Label Studio does: what is invalid is dropped without a word."""
        good = [item for item in items if item["task"] != 33 or not (item["result"] or scores_too)]
        kept.update((item["task"], item) for item in good)
        return len(good)

    name = context.versions(project).live_name()
    vars(context)["label_studio"] = SimpleNamespace(
        import_predictions=take,
        model_versions=lambda project_id: {name: len(kept)},
        tasks_without=lambda project_id, version: book.tasks.keys() - kept.keys(),
    )
    with (
        pytest.raises(LabelStudioRejected, match=r"does not keep .* the first being 33")
        if scores_too
        else nullcontext()
    ):
        push_all(context, project)
    assert sorted(kept) == [number for number in range(21, 51) if number != 33 or not scores_too]
    assert all(bool(item["result"]) == (task != 33) for task, item in kept.items())


@pytest.mark.parametrize("kind", ["polygons", "rating"])
def test_an_import_is_bounded_in_bytes_and_what_does_not_fit_goes_in_the_next(
    context: Context, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    _, project, _ = _pushing(context, KINDS[kind], 50, 20)
    bodies: list[list[Any]] = []

    def take(project_id: int, items: list[Any]) -> int:
        bodies.append(items)
        return len(items)

    context.label_studio.import_predictions = take  # type: ignore[method-assign]
    monkeypatch.setattr(publisher, "BODY_MOST", 2000)
    monkeypatch.setattr(publisher, "PREDICT_SLICE", 7)
    push_all(context, project)
    assert sorted(item["task"] for body in bodies for item in body) == list(range(21, 51))
    assert len(bodies) > 2
    assert all(len(body) == 1 or len(json.dumps(body)) < 2100 for body in bodies)


def test_media_are_embedded_before_they_fill_the_memory(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    push, _, book = _pushing(context, KINDS["rating"], 300, 30)
    sizes: list[int] = []
    whole = embedding.embed_whole

    def noted(backbone: Any, spec: Any, media: list[str]) -> Any:
        sizes.append(sum(map(len, media)))
        return whole(backbone, spec, media)

    monkeypatch.setattr(embedding, "embed_whole", noted)
    monkeypatch.setattr(embedding, "CHUNK_BYTES", 2000 * embedding.CHARACTER_BYTES)
    embedder = push._scorer._embedders[push._version.leading.control.name]
    found = embedder.embed([book.tasks[number] for number in range(31, 301)], lambda *_: None)
    assert len(found.ids) == 270
    longest = max(len(str(task.data["text"])) for task in book.tasks.values())
    assert max(sizes) < 2000 + longest
    assert len(sizes) < 270
