"""What is said of regions, from annotators' answers to what /predict and a push send."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_studio_sdk.label_interface import LabelInterface

from labelloop.labelstudio import ProjectKey
from labelloop.labelstudio.brush_rle import decode_area
from labelloop.learning.masks import fitting
from labelloop.records import AttributesPrediction, Kind
from labelloop.service.context import Context
from labelloop.service.embedding import Embedder
from labelloop.service.endpoint import Endpoint
from labelloop.service.ordering import predict_all, still_asked_for
from labelloop.service.projects import Project
from support.kinds import KINDS
from support.redis_process import RedisProcess
from support.serving import KEY, a_context, a_project
from support.trained_kinds import book_of, train

MADE = KINDS["attributed spans"]
TAUGHT, COUNT = 60, 80
BOOK = book_of(MADE, COUNT, TAUGHT)


@pytest.fixture
def context(tmp_path: Path, redis_server: RedisProcess) -> Iterator[Context]:
    context = a_context(tmp_path, redis_server.url, text_backbone="plain", holdout_from=20, holdout_share=0.3)
    yield context
    context.redis.close()


@pytest.fixture
def project(context: Context) -> Project:
    return a_project(context, MADE.config)


def said_of(answer: dict[str, Any]) -> dict[str, str]:
    """What is said of each region, by its words."""
    return {one["value"]["text"]: one["value"]["choices"][0] for one in answer["result"] if one["type"] == "choices"}


def truth(number: int) -> dict[str, str]:
    return said_of({"result": MADE.item(number)[1]})


def test_a_version_says_of_regions_what_annotators_would(context: Context, project: Project) -> None:
    version, candidates = train(context, project, BOOK)
    asking = candidates["of"]
    assert [one.control.kind for one in version.learners] == [Kind.SPANS, *[Kind.ATTRIBUTES] * 3]
    assert len({one.backbone.id for one in version.learners}) == 1, "one set of features for all"
    assert asking.record.metrics is not None
    assert asking.record.metrics.value > 0.8
    assert asking.record.holdout > 5

    endpoint = Endpoint(context)
    endpoint.start()
    try:
        rest = [number for number in range(TAUGHT, COUNT) if truth(number)]
        tasks = [{"id": number + 1, "data": MADE.item(number)[0]} for number in rest]
        answers: list[Any] = endpoint.predict(tasks, KEY, MADE.config)
        drawn = MADE.item(rest[0])[1][:1]
        (prompted,) = endpoint.predict(tasks[:1], KEY, MADE.config, {"result": drawn})
    finally:
        endpoint.stop()
    interface = LabelInterface(MADE.config)
    assert all(interface.validate_prediction(answer, return_errors=True) == [] for answer in answers)
    regions = [region for answer in answers for region in answer["result"]]
    words = {region["id"]: region["value"]["text"] for region in regions if region["type"] == "labels"}
    loud = [one["value"]["text"] == [words[one["id"]].upper()] for one in regions if one["type"] == "textarea"]
    assert sum(loud) > 0.6 * len(loud) > 0
    right = [said_of(answer) == truth(number) for answer, number in zip(answers, rest, strict=True)]
    assert sum(right) > 0.6 * len(right)
    assert isinstance(prompted, dict)
    assert prompted["model_version"] == version.name


def test_the_next_version_is_judged_against_it_on_the_same_regions(context: Context, project: Project) -> None:
    train(context, project, BOOK)
    following, candidates = train(context, project, BOOK)
    assert following.parent
    assert all(candidate.decision.accepted for candidate in candidates.values())
    assert "first version" not in candidates["of"].decision.reason.lower()


def test_a_push_asks_about_the_regions_that_were_found(context: Context, project: Project) -> None:
    version, _ = train(context, project, BOOK)
    versions, tasks = context.versions(project), [BOOK.tasks[number + 1] for number in range(TAUGHT, COUNT)]
    learners = {one.control: versions.learner(version.name, one) for one in version.learners}
    embedded = {
        one.control.name: Embedder(context, project, one.control, one.backbone_spec, one.backbone, {}).embed(
            tasks, lambda *_: None
        )
        for one in version.learners
    }
    found = predict_all(learners, embedded)
    alone = predict_all(dict([*learners.items()][1:]), embedded)
    for task_id, said in found.items():
        attributes: Any = said["of"]
        assert isinstance(attributes, AttributesPrediction)
        spans: Any = said["names"]
        assert tuple(one.part for one in attributes.attributes) == spans.spans
        assert alone[task_id]["of"] == AttributesPrediction((), 1.0, 0.0), (
            "without regions there is nothing to ask about"
        )
    assert any(said["of"].attributes for said in found.values())  # type: ignore[attr-defined]


def test_answers_of_another_kind_are_not_compared_and_not_served(context: Context, project: Project) -> None:
    """One choice becomes any number of them: nothing of the old model can be judged or shown by the new question."""
    train(context, project, BOOK)
    several = MADE.config.replace('name="of" toName="text"', 'name="of" toName="text" choice="multiple"')
    assert "of" not in still_asked_for(context.versions(project).live().learners, several)  # type: ignore[union-attr]

    asked_anew = context.projects.register(ProjectKey.parse(KEY), several, "A project")
    version, candidates = train(context, asked_anew, BOOK)
    assert version.learners[1].control.answer is Kind.SET
    assert "first version" in candidates["of"].decision.reason.lower()
    assert candidates["of"].record.metrics is not None


def test_each_piece_of_an_area_is_a_region_with_an_answer_of_its_own(
    tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "STEPS", 300)  # the squares are easily told apart
    made = KINDS["attributed areas"]
    context = a_context(tmp_path, redis_server.url, image_backbone="plain", holdout_from=20, holdout_share=0.3)
    project, book = a_project(context, made.config), book_of(made, 40, 30)
    train(context, project, book)
    endpoint = Endpoint(context)
    endpoint.start()
    try:
        tasks = [{"id": number + 1, "data": made.item(number)[0]} for number in range(30, 40)]
        answers: list[Any] = endpoint.predict(tasks, KEY, made.config)
        prompted: list[Any] = endpoint.predict(tasks, KEY, made.config, {"result": [PROMPT]})
    finally:
        endpoint.stop()
        context.redis.close()

    assert all(LabelInterface(made.config).validate_prediction(one, return_errors=True) == [] for one in answers)
    found = [shades(answer["result"]) for answer in answers]
    right = [one == shades(made.item(number)[1]) for number, one in zip(range(30, 40), found, strict=True)]
    assert sum(right) >= 8, found

    # The left square is cut where the box drawn ends, and what it is asked is asked of what is left of it.
    cut = [shades(answer["result"]) for answer in prompted]
    assert all(LabelInterface(made.config).validate_prediction(one, return_errors=True) == [] for one in prompted)
    assert sum(one == whole[:1] for one, whole in zip(cut, found, strict=True)) >= 8, cut


PROMPT = {
    "from_name": "box",
    "to_name": "image",
    "type": "rectanglelabels",
    "value": {"x": 0, "y": 0, "width": 20, "height": 100, "rotation": 0, "rectanglelabels": ["here"]},
}


def shades(result: list[dict[str, Any]]) -> list[str]:
    """What is said of the regions of a picture, from left to right; each is drawn and answered once."""
    drawn = {one["id"]: decode_area(one["value"]["rle"], 96, 96) for one in result if one["type"] == "brushlabels"}
    places = {name: float(np.nonzero(area.inside())[1].mean()) for name, area in drawn.items() if area}
    said = {one["id"]: one["value"]["choices"][0] for one in result if one["type"] == "choices"}
    assert sorted(drawn) == sorted(said)
    assert 2 * len(said) == len(result)
    return [said[name] for name in sorted(drawn, key=places.__getitem__)]
