"""What a push tells the strategy of the live version's model and of its predictions."""

from pathlib import Path
from typing import Any

import pytest

from labelloop.service import publisher
from labelloop.service.ordering import Known, score_queue
from labelloop.service.push_state import PushState, write_push
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
    push = publisher._Push(context, project, version, lambda *_: None)
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
    publisher._Push(context, project, version, lambda *_: None).prepare()

    counted = {said["damage"].label: set(said) for said in told[-1].values()}
    assert counted == {"no": {"damage"}, "yes": {"damage", "severity"}}
    context.redis.close()
