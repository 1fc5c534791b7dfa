"""Fine-tuning a model that writes behind the live version, from a TextArea's answers to what is published."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from labelloop.labelstudio import parse_label_config
from labelloop.learning import Figures, Parts, resolve_backbone
from labelloop.learning.tuning import TUNERS
from labelloop.records import Kind, Modality
from labelloop.service.context import Context
from labelloop.service.releases import backbone_spec, release_cold
from labelloop.service.tuning import tune
from labelloop.service.tuning_due import describe_tuning, tuning_is_due
from labelloop.service.tuning_state import read_tuning
from support.redis_process import RedisProcess
from support.tuning_project import Item, TuningProject, answer, settings_for, silent
from support.writers import made_pairs, made_writer

CONFIG = '<View><Text name="text" value="$text"/><TextArea name="german" toName="text"/></View>'
TASKS, LABELLED = 90, 80


def _items() -> list[Item]:
    texts, targets = made_pairs(TASKS)
    return [
        ({"text": text}, [answer("german", "text", "textarea", {"text": list(target.texts)})])
        for text, target in zip(texts, targets, strict=True)
    ]


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_writer(tmp_path_factory.mktemp("writer") / "made-t5")


@pytest.fixture
def texts(
    tmp_path: Path, writer: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TuningProject]:
    quick = replace(TUNERS[Kind.TEXT].options, epochs=4, backbone_rate=1e-2, batch=8, threads=1)
    monkeypatch.setitem(TUNERS, Kind.TEXT, replace(TUNERS[Kind.TEXT], options=quick))  # type: ignore[index]
    context = Context(
        settings_for(
            tmp_path, Path(), redis_server.url, text_writer=str(writer), image_backbone="plain", gate_tolerance=0.99
        )
    )
    project = TuningProject(context, config=CONFIG, items=_items())
    project.label(LABELLED)
    project.publish()
    yield project
    context.redis.close()


def test_a_tuned_model_that_writes_goes_live(texts: TuningProject, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whether it is better is the gate's business, and so little training makes nothing better.
    monkeypatch.setattr("labelloop.service.tuning_verdict.refusal", lambda tuned, in_use: "")
    context, project = texts.context, texts.project
    before = context.versions(project).live()
    assert before is not None
    assert before.learners[0].backbone_spec.parts is Parts.OUTPUT
    assert tuning_is_due(context, project)
    assert tune(context, project, lambda: False, silent)
    live = context.versions(project).live()

    assert live is not None
    assert live.parent == before.name, read_tuning(context.store, project.folder).outcome
    record = live.learners[0]
    assert record.backbone.tuned
    assert record.kind == "generated-text"
    assert isinstance(record.metrics, Figures)
    assert record.metrics.items > 0
    assert texts.publish().learners[0].backbone == record.backbone


def test_the_model_pre_annotates_before_anything_is_answered(texts: TuningProject) -> None:
    context, control = texts.context, texts.scene().config.controls[0]
    cold = release_cold(context.versions(texts.project), (control,), context.settings)
    record = cold.learners[0]
    assert (cold.stage, cold.labels, record.kind) == ("cold", 0, "generated-text")
    assert "'german' is pre-annotated by made-t5 as it is" in cold.reason
    found = texts.scene().embedder(record).cached(list(texts.scene().book.tasks.values()))
    said = context.versions(texts.project).learner(cold.name, record).predict(found.dense)
    assert len(said) == len(found.ids) > 0
    assert all(0 <= one.uncertainty <= 1 for one in said)


def test_what_another_control_has_stays_when_a_tuned_model_goes_live(
    texts: TuningProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labelloop.service.tuning_verdict.refusal", lambda tuned, in_use: "")
    both = CONFIG.replace("</View>", '<TextArea name="dutch" toName="text"/></View>')
    made = TuningProject(texts.context, config=both, items=texts.items)
    made.label(LABELLED)
    context, versions = made.context, made.context.versions(made.project)
    cold = release_cold(versions, made.scene().config.controls, context.settings)
    made.publish()
    assert tune(context, made.project, lambda: False, silent)

    live = versions.live()
    assert live is not None
    german, dutch = live.learners
    assert german.backbone.tuned, read_tuning(context.store, made.project.folder).outcome
    assert dutch == cold.learners[1]
    assert versions.learner(live.name, dutch).kind == "generated-text"


def test_an_image_is_answered_from_the_memory_whatever_writes(texts: TuningProject) -> None:
    config = '<View><Image name="image" value="$image"/><TextArea name="caption" toName="image"/></View>'
    control = parse_label_config(config).controls[0]
    spec = backbone_spec(texts.context.settings, control)
    assert (spec.modality, spec.parts) == (Modality.IMAGE, Parts.NONE)
    assert "no model that writes" in TUNERS[Kind.TEXT].why_not(spec, resolve_backbone(spec))


def test_without_a_model_that_writes_nothing_is_tuned(texts: TuningProject) -> None:
    settings = texts.context.settings.model_copy(update={"text_writer": ""})
    context = Context(settings)
    memory = TuningProject(context, config=CONFIG, items=texts.items)
    memory.label(LABELLED)
    assert "no model that writes" in describe_tuning(context, memory.project, memory.publish())
    assert not tuning_is_due(context, memory.project)
    context.redis.close()
