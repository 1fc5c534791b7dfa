"""What is fine-tuned for regions goes live with the learner of its parts, and later rounds go on with both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("torchvision")
pytest.importorskip("sentence_transformers")

from labelloop.labelstudio import ProjectKey, parse_label_config
from labelloop.learning import Parts
from labelloop.learning.boxes import fitting as box_fitting
from labelloop.learning.masks import fitting as mask_fitting
from labelloop.learning.tuning import TUNERS
from labelloop.records import Box, Kind, Span
from labelloop.service.context import Context
from labelloop.service.live import LiveModels
from labelloop.service.releases import backbone_spec, release_cold
from labelloop.service.tuning import tune
from labelloop.service.tuning_due import tuning_is_due
from labelloop.service.tuning_state import read_tuning
from support.encoders import CLASSES as NAMES
from support.encoders import made_encoder, made_sentences
from support.made_detectors import CLASSES, made_detector, made_pictures
from support.redis_process import RedisProcess
from support.tuning_project import Item, TuningProject, answer, data_uri, settings_for, silent

pytestmark = pytest.mark.slow

TASKS, LABELLED = 46, 42
SIZE = {"original_width": 96, "original_height": 64}


def _tags(names: Sequence[str]) -> str:
    return "".join(f'<Label value="{name}"/>' for name in names)


def _image(tag: str) -> str:
    return f'<View><Image name="image" value="$image"/>{tag}</View>'


@dataclass(frozen=True)
class Case:
    """A kind of regions, and what becomes of it.

    Attributes:
        config: the label config.
        items: tasks with their answers.
        kind: of the control.
        parts: what the tuned network tells of.
        learner: the name of the learner that goes live.
        options: of a short training.
    """

    config: str
    items: Callable[[], list[Item]]
    kind: Kind
    parts: Parts
    learner: str
    options: dict[str, Any] = field(default_factory=dict)


def _boxes() -> list[Item]:
    pictures, targets = made_pictures(TASKS)
    return [
        ({"image": data_uri(picture)}, [_rectangle(box, number) for number, box in enumerate(target.boxes)])
        for picture, target in zip(pictures, targets, strict=True)
    ]


def _rectangle(box: Box, number: int) -> dict[str, Any]:
    sides = {"x": box.x, "y": box.y, "width": box.width, "height": box.height}
    value = {name: 100 * float(side) for name, side in sides.items()} | {"rotation": 0, "rectanglelabels": [box.label]}
    return {**answer("squares", "image", "rectanglelabels", value), "id": f"r{number}", **SIZE}


def _areas() -> list[Item]:
    pictures, targets = made_pictures(TASKS)
    return [
        ({"image": data_uri(picture)}, [_polygon(box, number) for number, box in enumerate(target.boxes)])
        for picture, target in zip(pictures, targets, strict=True)
    ]


def _polygon(box: Box, number: int) -> dict[str, Any]:
    left, top, right, bottom = (100 * float(at) for at in (box.x, box.y, box.x + box.width, box.y + box.height))
    points = [[left, top], [right, top], [right, bottom], [left, bottom]]
    value = {"points": points, "closed": True, "polygonlabels": [box.label]}
    return {**answer("squares", "image", "polygonlabels", value), "id": f"r{number}", **SIZE}


def _spans() -> list[Item]:
    texts, targets = made_sentences(TASKS)
    return [
        ({"text": text}, [_marked(text, span, number) for number, span in enumerate(target.spans)])
        for text, target in zip(texts, targets, strict=True)
    ]


def _marked(text: str, span: Span, number: int) -> dict[str, Any]:
    value = {"start": span.start, "end": span.end, "text": text[span.start : span.end], "labels": [span.label]}
    return {**answer("names", "text", "labels", value), "id": f"s{number}"}


CASES = {
    "areas": Case(
        _image(f'<PolygonLabels name="squares" toName="image">{_tags(CLASSES)}</PolygonLabels>'),
        _areas,
        Kind.MASKS,
        Parts.MAP,
        "masks",
        options={"epochs": 2, "batch": 4, "head_rate": 3e-3},
    ),
    "spans": Case(
        f'<View><Text name="text" value="$text"/><Labels name="names" toName="text">{_tags(NAMES)}</Labels></View>',
        _spans,
        Kind.SPANS,
        Parts.TOKENS,
        "spans",
        options={"epochs": 2, "batch": 8, "backbone_rate": 3e-3, "head_rate": 3e-3},
    ),
    "boxes": Case(
        _image(f'<RectangleLabels name="squares" toName="image">{_tags(CLASSES)}</RectangleLabels>'),
        _boxes,
        Kind.BOXES,
        Parts.OUTPUT,
        "detected-boxes",
        options={"epochs": 2, "batch": 4, "head_rate": 3e-3, "network": "fcos_mobilenet_v3_small"},
    ),
}


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Case:
    found = CASES[request.param]
    tuner = TUNERS[found.kind]
    options = replace(tuner.options, threads=1, **found.options)
    monkeypatch.setitem(TUNERS, found.kind, replace(tuner, options=options))  # type: ignore[index]
    # Whether it is better is the gate's business, and so little training makes nothing better.
    monkeypatch.setattr("labelloop.service.tuning_verdict.refusal", lambda tuned, in_use: "")
    monkeypatch.setattr(mask_fitting, "STEPS", 20)
    monkeypatch.setattr(box_fitting, "LEAST_VISITS", 200)
    monkeypatch.setattr(box_fitting, "MOST_VISITS", 200)
    return found


def test_a_tuned_network_goes_live_and_stays(case: Case, tmp_path: Path, redis_server: RedisProcess) -> None:
    encoder = made_encoder(tmp_path / "made") if case.kind is Kind.SPANS else "plain"
    settings = settings_for(
        tmp_path, Path(), redis_server.url, image_backbone="plain", text_backbone=str(encoder), gate_tolerance=0.99
    )
    context = Context(settings.model_copy(update={"image_weights": "", "fine_tune_from": 40}))
    made = TuningProject(context, config=case.config, items=case.items())
    made.label(LABELLED)
    before = made.publish()
    assert tuning_is_due(context, made.project)
    assert tune(context, made.project, lambda: False, silent)
    live = context.versions(made.project).live()
    assert live is not None
    assert live.parent == before.name, read_tuning(context.store, made.project.folder).outcome
    record = live.learners[0]
    assert (record.kind, record.backbone_spec.parts) == (case.learner, case.parts)
    assert record.backbone.tuned
    assert record.metrics is not None
    assert record.metrics.items > 0

    following = made.publish()
    assert following.learners[0].backbone == record.backbone
    models = LiveModels(context, lambda *_: None)
    models.refresh()
    model = models.of(ProjectKey(7, 1))
    assert model is not None
    learner = model.learners[0]
    assert len(learner.features) == TASKS
    found = made.scene().embedder(following.learners[0]).cached(list(made.scene().book.tasks.values()))
    assert len(learner.learner.predict(found.dense)) == TASKS
    context.redis.close()


def test_a_detector_that_knows_the_labels_pre_annotates_before_anything_is_drawn(
    tmp_path: Path, redis_server: RedisProcess
) -> None:
    detector = made_detector(tmp_path / "made", ("scarlet", "blue", "green"))
    settings = settings_for(tmp_path, Path(), redis_server.url, image_backbone="plain", image_detector=str(detector))
    context = Context(settings.model_copy(update={"image_weights": ""}))
    case = CASES["boxes"]
    stranger = TuningProject(context, config=case.config, items=case.items()[:4])
    stranger.label(0)
    control = parse_label_config(case.config).controls[0]
    assert backbone_spec(context.settings, control).parts is Parts.MAP, "one label is strange to the detector"

    known = replace(control, predicted_values=(("scarlet", "red"),))
    cold = release_cold(context.versions(stranger.project), (known,), context.settings)
    record = cold.learners[0]
    assert (cold.stage, cold.labels, record.kind) == ("cold", 0, "detected-boxes")
    assert "'squares' is pre-annotated by fcos_mobilenet_v3_small as it is" in cold.reason
    found = stranger.scene().embedder(record).embed(list(stranger.scene().book.tasks.values()), silent)
    said = context.versions(stranger.project).learner(cold.name, record).predict(found.dense)
    assert len(said) == 4
    assert all(0 <= one.uncertainty <= 1 for one in said)
    assert {box.label for one in said for box in one.boxes} <= {"red", "blue"}
    context.redis.close()
