"""Tasks of several objects: what holds of one does not hold of the others."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labelloop.errors import MediaUnavailable
from labelloop.labelstudio import TaskRecord, parse_label_config
from labelloop.learning import GateDecision
from labelloop.learning.stopping import Spent
from labelloop.records import Control
from labelloop.service import candidates, embedding
from labelloop.service.considered import read_considered
from labelloop.service.context import Context
from labelloop.service.embedding import Embedded, Embedder
from labelloop.service.history import read_history
from labelloop.service.projects import Project
from labelloop.service.publisher import _Push
from labelloop.service.push_state import PushState, write_push
from labelloop.service.releases import learner_record
from labelloop.service.state import BrokenItem, Place, read_state
from labelloop.service.stopping import advice_on
from labelloop.service.training import Candidate, train_control
from support.paper import CREATED, PaperStudio, label, opened
from support.redis_process import RedisProcess
from support.serving import a_context, a_project
from support.writers import made_writer

HEADS = '<Text name="head" value="$head"/><Choices name="heads" toName="head"><Choice value="food"/><Choice value="sport"/></Choices>'
BODIES = HEADS.replace("head", "body").replace("bodys", "bodies")


class TwoTexts(PaperStudio):
    """Tasks of a head and a body, both labelled; every third head is empty."""

    config = f"<View>{HEADS}{BODIES}</View>"

    def project(self, project_id: int) -> dict[str, Any]:
        return {**super().project(project_id), "label_config": self.config}

    def tasks(self, project_id: int, *, updated_since: str | None = None) -> Iterator[dict[str, Any]]:
        for number in range(1, len(self.texts) + 1):
            topic = ("food", "sport")[number % 2]
            said = [
                {"from_name": name, "to_name": to, "type": "choices", "value": {"choices": [topic]}}
                for name, to in (("heads", "head"), ("bodies", "body"))
                if f'name="{name}"' in self.config
            ]
            answers = [{"id": number, "updated_at": CREATED, "result": said, "lead_time": 1.0}]
            data = {"head": f"{topic} head {number}" if number % 3 else "", "body": f"{topic} body {number}"}
            labelled = number <= self.labelled
            yield {"id": number, "data": data, "updated_at": CREATED, "annotations": answers if labelled else []}


@pytest.fixture
def studio() -> TwoTexts:
    return TwoTexts("4")


@pytest.fixture
def site(tmp_path: Path, redis_server: RedisProcess, studio: TwoTexts) -> Iterator[tuple[Context, Project]]:
    context, project = opened(tmp_path, redis_server, studio)
    yield context, project
    context.redis.close()


def _predicted(context: Context, project: Project) -> dict[str, int]:
    """For how many tasks of the queue each control has a prediction, once all are scored."""
    project = context.projects.get(project.key) or project
    version = context.versions(project).live()
    assert version is not None
    write_push(context.store, project.folder, PushState(version.name, certain=True))  # Label Studio holds nothing yet
    push = _Push(context, project, version, lambda *_: None, set(), lambda: False)
    for _ in range(3):
        push.prepare()
    found = list(push._scorer._predicted.values())
    assert len(push._state.scores) == 36
    return {name: sum(name in said for said in found) for name in ("heads", "bodies")}


def test_what_cannot_be_read_of_a_task_costs_its_other_objects_nothing(
    site: tuple[Context, Project], studio: TwoTexts
) -> None:
    context, project = site
    live = label(context, project, studio, 24)
    learnt = context.versions(project).labels(live)["labels"]

    assert {name: len(labels) for name, labels in learnt.items()} == {"heads": 16, "bodies": 24}
    assert _predicted(context, project) == {"heads": 24, "bodies": 36}
    assert {of for _, of in read_state(context.store, project.folder).broken} == {"text:head"}


def test_a_control_that_comes_later_gets_predictions_of_what_waits(
    site: tuple[Context, Project], studio: TwoTexts
) -> None:
    context, project = site
    studio.config = f"<View>{BODIES}</View>"
    label(context, project, studio, 24)
    assert _predicted(context, project) == {"heads": 0, "bodies": 36}

    studio.config = f"<View>{BODIES}{HEADS}</View>"
    label(context, project, studio, 24, force=True)
    assert _predicted(context, project) == {"heads": 24, "bodies": 36}


def test_an_object_that_moves_to_another_key_is_read_there_at_once_and_learnt_anew(
    site: tuple[Context, Project], studio: TwoTexts
) -> None:
    context, project = site
    studio.config = f"<View>{HEADS}</View>"
    before = label(context, project, studio, 24)
    assert _predicted(context, project) == {"heads": 24, "bodies": 0}

    moved = studio.config.replace("$head", "$body")
    context.projects.register(project.key, moved, "paper")
    assert _predicted(context, project) == {"heads": 36, "bodies": 0}

    studio.config = moved
    after = label(context, project, studio, 24)
    assert after != before
    assert len(context.versions(project).labels(after)["labels"]["heads"]) == 24
    assert label(context, project, studio, 24) == after


@pytest.mark.parametrize("edit", ['textKey="words"', 'nameKey="who"'])
def test_what_is_read_another_way_is_learnt_anew(site: tuple[Context, Project], studio: TwoTexts, edit: str) -> None:
    context, project = site
    studio.config = f"<View>{HEADS}</View>".replace("<Text", "<Paragraphs")
    before = label(context, project, studio, 24)
    studio.config = studio.config.replace("<Paragraphs", f"<Paragraphs {edit}")
    assert label(context, project, studio, 24) != before


LABELS = '<Labels name="a" toName="a"><Label value="x"/></Labels>'
PAGE_LABELS = '<HyperTextLabels name="b" toName="b"><Label value="x"/></HyperTextLabels>'
CHOICES = '<Choices name="a" toName="a"><Choice value="x"/><Choice value="y"/></Choices>'
OTHERS = CHOICES.replace('"a"', '"b"')


def _embedded(
    context: Context, control: Control, value: object, broken: dict[Place, BrokenItem] | None = None
) -> Embedded:
    """What a control's embedder gives of one task."""
    record = learner_record(context.settings, control, None)
    embedder = Embedder(context, a_project(context), control, record.backbone_spec, record.backbone, broken or {})
    return embedder.embed([TaskRecord(1, {"value": value}, CREATED)], lambda *_: None)


@pytest.mark.parametrize(
    ("xml", "value"),
    [
        (f'<Text name="a" value="$value"/>{LABELS}<HyperText name="b" value="$value"/>{PAGE_LABELS}', "<p>sweet</p>"),
        (
            f'<Paragraphs name="a" value="$value"/>{CHOICES}<Paragraphs name="b" value="$value" textKey="de"/>{OTHERS}',
            [{"author": "Ada", "text": "sweet", "de": "sauer"}],
        ),
        (
            f'<Paragraphs name="a" value="$value"/>{CHOICES}<Paragraphs name="b" value="$value" nameKey="who"/>{OTHERS}',
            [{"author": "Ada", "who": "Bo", "text": "sweet"}],
        ),
    ],
)
def test_what_is_read_of_one_value_in_two_ways_has_features_of_each(
    tmp_path: Path, redis_server: RedisProcess, xml: str, value: object
) -> None:
    context = a_context(tmp_path, redis_server.url, text_backbone="plain")
    one, other = parse_label_config(f"<View>{xml}</View>").controls
    assert _embedded(context, one, value).contents != _embedded(context, other, value).contents


def test_a_text_is_embedded_again_where_more_of_it_is_read(tmp_path: Path, redis_server: RedisProcess) -> None:
    (control,) = parse_label_config(f'<View><Text name="a" value="$value"/>{CHOICES}</View>').controls
    few, many = (a_context(tmp_path, redis_server.url, text_backbone="plain", text_max_chars=n) for n in (5, 100))
    assert _embedded(few, control, "sweet and sour").contents != _embedded(many, control, "sweet and sour").contents


def test_a_page_whose_places_cannot_be_told_is_read_by_who_needs_none(
    tmp_path: Path, redis_server: RedisProcess
) -> None:
    context = a_context(tmp_path, redis_server.url, text_backbone="plain")
    others = OTHERS.replace('name="b"', 'name="c"')
    xml = f'<View><HyperText name="b" value="$value"/>{PAGE_LABELS}{others}</View>'
    marking, choosing = parse_label_config(xml).controls
    page = "<style>p {color: red}</style><p>sweet</p>"
    refused = _embedded(context, marking, page)

    assert ["the places in its HTML cannot be told" in note.reason for note in refused.broken.values()] == [True]
    assert _embedded(context, choosing, page, refused.broken).ids == [1]
    assert _embedded(context, marking, page, refused.broken).broken == refused.broken


def _refuse(patch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the gate refuse the candidates of some controls."""

    def judged(*args: Any) -> Candidate:
        candidate = train_control(*args)
        name = candidate.record.control.name
        return replace(candidate, decision=GateDecision(False, "Worse by far.")) if name in names else candidate

    patch.setattr(candidates, "train_control", judged)


def test_a_refused_control_stays_as_it_is_and_the_others_go_live(
    site: tuple[Context, Project], studio: TwoTexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, project = site
    versions = context.versions(project)
    before = versions.get(label(context, project, studio, 24))
    with monkeypatch.context() as patch:
        _refuse(patch, "heads")
        after = versions.get(label(context, project, studio, 36))

    assert [record.control.name for record in after.learners] == ["heads", "bodies"]
    assert after.learners[0] == before.learners[0]
    assert after.learners[1].labels > before.learners[1].labels
    assert after.labels == sum(record.labels for record in after.learners)
    learnt, known = versions.labels(after.name), versions.labels(before.name)
    assert all(learnt[what]["heads"] == known[what]["heads"] for what in ("labels", "sides", "judged"))
    assert versions.arrays(after.name, "heads").keys() == versions.arrays(before.name, "heads").keys()
    state = read_state(context.store, project.folder)
    assert state.last_refusal == "'heads': Worse by far."
    assert state.last_training.startswith(f"Published {after.name}. 'bodies': ")
    assert state.last_training.endswith("'heads' stays as it was. Refused: 'heads': Worse by far.")
    history = read_history(context, project, after.name)
    assert [len(history[name].points) for name in ("heads", "bodies")] == [1, 2]

    label(context, project, studio, 48)
    assert read_state(context.store, project.folder).last_refusal == ""


def test_where_every_control_is_refused_nothing_goes_live(
    site: tuple[Context, Project], studio: TwoTexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, project = site
    before = label(context, project, studio, 24)
    _refuse(monkeypatch, "heads", "bodies")
    assert label(context, project, studio, 36) == before
    state = read_state(context.store, project.folder)
    assert state.last_training == "Refused: 'heads': Worse by far. 'bodies': Worse by far."


def test_a_refused_control_that_the_config_has_lost_is_not_kept(
    site: tuple[Context, Project], studio: TwoTexts
) -> None:
    context, project = site
    label(context, project, studio, 24)
    studio.config = f"<View>{BODIES}</View>"
    after = context.versions(project).get(label(context, project, studio, 36))
    assert [record.control.name for record in after.learners] == ["bodies"]


class Translated(TwoTexts):
    """Tasks whose head has a topic that people say, and a translation that nobody has given."""

    config = f"<View>{HEADS}</View>".replace("<Choices ", '<TextArea name="german" toName="head"/><Choices ')


def test_what_a_model_writes_is_kept_when_another_control_is_learnt(tmp_path: Path, redis_server: RedisProcess) -> None:
    pytest.importorskip("transformers")
    studio = Translated("4")
    context, project = opened(tmp_path, redis_server, studio, text_writer=str(made_writer(tmp_path / "made-t5")))
    versions = context.versions(project)
    cold = versions.get(label(context, project, studio, 0))
    after = versions.get(label(context, project, studio, 24))

    assert [record.control.name for record in after.learners] == ["german", "heads"]
    assert after.learners[0] == cold.learners[0]
    assert versions.learner(after.name, after.learners[0]).kind == "generated-text"
    assert after.reason.endswith("'german' stays as it was.")
    assert (after.leading.control.name, after.labels) == ("heads", after.learners[1].labels)
    assert "german" not in advice_on(context, project, after, Spent(24, 24, 0.0)).sentence
    context.redis.close()


def test_media_that_are_away_cost_the_other_objects_nothing_and_are_tried_again(
    site: tuple[Context, Project], studio: TwoTexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, project = site
    had = embedding.media_of

    def away(given: Context, control: Control, task_id: int, value: object) -> Any:
        if control.name == "heads":
            raise MediaUnavailable("The host does not answer.")
        return had(given, control, task_id, value)

    monkeypatch.setattr(embedding, "media_of", away)
    live = label(context, project, studio, 24)
    assert set(context.versions(project).labels(live)["labels"]) == {"bodies"}
    state = read_state(context.store, project.folder)
    assert state.waiting_for == "'heads' cannot be learnt now: The host does not answer."
    assert read_considered(context.store, project.folder).missed

    monkeypatch.setattr(embedding, "media_of", had)
    live = label(context, project, studio, 24, force=True)
    assert set(context.versions(project).labels(live)["labels"]) == {"heads", "bodies"}
