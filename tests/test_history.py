"""The story of the versions that stopping rests on, and what it makes of it: from labels in the book to one sentence."""

from dataclasses import replace
from pathlib import Path

import pytest

from labelloop.labelstudio import AnnotationRecord, ProjectKey, TaskRecord
from labelloop.learning import BackboneSpec, resolve_backbone
from labelloop.learning.stopping import Spent, Verdict
from labelloop.records import ClassTarget, Control, Modality, Target
from labelloop.service.book import Book
from labelloop.service.context import Context
from labelloop.service.embedding import Embedder
from labelloop.service.history import ControlHistory, HistoryPoint, read_history, write_history
from labelloop.service.labelling import Labelled
from labelloop.service.releases import release
from labelloop.service.stopping import advice_on, spent_on, why_stopped
from labelloop.service.storytelling import KEPT, note_history
from labelloop.service.training import train_control
from labelloop.service.versions import LearnerRecord, Version
from labelloop.settings import Settings
from support.annotating import sentences

CONTROL = Control("topic", "Choices", "text", "text", Modality.TEXT, ("weather", "food", "travel"))
SPEC = BackboneSpec(Modality.TEXT, "plain")


class Desk:
    """A project of texts without any Label Studio; each `publish` trains on the first so many of them."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.settings = Settings(data_dir=folder, holdout_from=10, holdout_min=5, holdout_share=0.2, **settings)  # type: ignore[arg-type]
        self.context = Context(self.settings)
        self.project = self.context.projects.register(ProjectKey(1, 1), "", "texts")
        self.control = CONTROL
        texts = sentences(160)
        self.book = Book({i: TaskRecord(i, {"text": text}, "2026") for i, (text, _) in enumerate(texts, start=1)})
        self.truth = {i: ClassTarget(topic) for i, (_, topic) in enumerate(texts, start=1)}

    def publish(self, count: int, truth: dict[int, ClassTarget] | None = None, tuned: str = "") -> Version:
        targets: dict[int, Target] = {i: (truth or self.truth)[i] for i in range(1, count + 1)}
        backbone = replace(resolve_backbone(SPEC), tuned=tuned)
        record = LearnerRecord(self.control, self.control.labels, "", SPEC, backbone)
        embedder = Embedder(self.context, self.project, self.control, SPEC, record.backbone, {})
        embedder.embed(list(self.book.tasks.values()), _silent)
        tasks = [self.book.tasks[i] for i in targets]
        candidate = train_control(record, tasks, targets, embedder, {}, None, self.settings, _silent)
        versions = self.context.versions(self.project)
        version = release(versions, versions.live(), {"topic": candidate}, [self.control], self.settings)
        note_history(
            self.context, self.project, self.book, version, {"topic": candidate}, {"topic": Labelled(targets, {})}
        )
        return version

    def history(self, version: Version) -> ControlHistory:
        return read_history(self.context, self.project, version.name)["topic"]


def _silent(step: str, done: int, total: int) -> None:
    return


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_version_adds_itself_to_its_parents_story(desk: Desk) -> None:
    first, second, third = desk.publish(40), desk.publish(60), desk.publish(70)
    history = desk.history(third)
    assert [point.version for point in history.points] == [first.name, second.name, third.name]
    assert [point.labels for point in history.points] == [40, 60, 70]
    assert all(point.holdout and point.cross_validation for point in history.points)
    assert len(history.tasks) == 90
    assert not set(history.tasks) & set(range(1, 71))


def test_stability_is_told_against_a_version_of_twenty_labels_less(desk: Desk) -> None:
    desk.publish(40), desk.publish(60)
    points = desk.history(desk.publish(70)).points
    assert points[0].stability is None
    assert points[1].stability is not None and points[1].stability.labels_apart == 20
    assert points[2].stability is not None and points[2].stability.labels_apart == 30
    assert points[2].stability.items == 90


def test_stability_is_told_where_versions_come_often_and_old_ones_are_gone(desk: Desk) -> None:
    for count in (40, 42, 44, 50, 55, 58, 60, 65):
        version = desk.publish(count)
        desk.context.versions(desk.project).retire(1)
    told = {point.labels: point.stability.labels_apart for point in desk.history(version).points if point.stability}

    assert told == {60: 20, 65: 25}
    assert [one.labels for one in desk.history(version).earlier] == [40, 50, 55, 60]
    assert all(len(one.tasks) == len(one.predicted) > 0 for one in desk.history(version).earlier)


def test_agreement_is_of_labels_that_the_version_before_has_not_seen(desk: Desk) -> None:
    desk.publish(40)
    honest = desk.history(desk.publish(60))
    assert honest.points[0].agreement is None
    assert honest.points[1].agreement is not None and honest.points[1].agreement.items == 20
    wrong = {i: ClassTarget("food" if t.label != "food" else "travel") for i, t in desk.truth.items()}
    contrary = desk.history(desk.publish(160, desk.truth | {i: wrong[i] for i in range(61, 161)}))
    last = contrary.points[-1].agreement
    assert last is not None and last.items == 100
    assert last.share < honest.points[1].agreement.share
    assert contrary.agreement() == last


def test_agreement_is_pooled_until_a_hundred_labels(desk: Desk) -> None:
    for count in (40, 60, 80):
        version = desk.publish(count)
    agreement = desk.history(version).agreement()
    assert agreement is not None and agreement.items == 40


def test_another_class_list_begins_the_curve_anew_but_predictions_are_compared(desk: Desk) -> None:
    desk.publish(40)
    desk.control = replace(CONTROL, labels=(*CONTROL.labels, "music"))
    history = desk.history(desk.publish(60))
    assert [point.labels for point in history.points] == [60]
    assert history.points[0].agreement is not None
    assert set(history.picks().values()) <= set(CONTROL.labels)


def test_a_version_without_a_story_is_passed_over(desk: Desk) -> None:
    first, second = desk.publish(40), desk.publish(60)
    desk.context.store.delete(f"{desk.project.folder}/versions/{second.name}/history.json")
    assert [point.version for point in desk.history(desk.publish(80)).points][:1] == [first.name]


@pytest.mark.parametrize("content", [b"not json", b'{"topic": {"classes": 3}}'])
def test_a_story_that_cannot_be_read_begins_anew(desk: Desk, content: bytes) -> None:
    version = desk.publish(40)
    desk.context.store.write(f"{desk.project.folder}/versions/{version.name}/history.json", content)
    assert read_history(desk.context, desk.project, version.name) == {}
    assert len(desk.history(desk.publish(60)).points) == 1


def test_accuracy_on_the_pool_is_estimated_from_all_that_was_tested(desk: Desk) -> None:
    assert desk.history(desk.publish(15)).points[-1].pool is None
    point = desk.history(desk.publish(40)).points[-1]
    assert point.holdout and point.cross_validation and point.pool
    assert point.pool.items == point.holdout.items + point.cross_validation.items == 40
    pool = desk.history(desk.publish(120)).points[-1].pool
    assert pool is not None and pool.items == 120
    assert pool.interval.low <= pool.accuracy <= pool.interval.high


def test_of_a_tuned_backbone_the_holdout_alone_tells_of_the_pool(desk: Desk) -> None:
    desk.publish(40)
    assert desk.history(desk.publish(60, tuned="its/place")).points[-1].pool is None
    pool = desk.history(desk.publish(120, tuned="its/place")).points[-1].pool
    assert pool is not None and pool.items == 24


def test_a_pool_that_is_used_up_has_no_stability(desk: Desk) -> None:
    desk.publish(40)
    history = desk.history(desk.publish(160))
    assert history.tasks == ()
    assert history.points[-1].stability is None


def test_the_story_keeps_to_its_length(desk: Desk) -> None:
    first = desk.publish(40)
    many = ControlHistory(CONTROL.labels, tuple(HistoryPoint(f"v{n}", n) for n in range(KEPT)))
    write_history(desk.context, desk.project, first.name, {"topic": many})
    points = desk.history(desk.publish(60)).points
    assert len(points) == KEPT
    assert points[-1].labels == 60


# Advice


def test_before_any_version_nothing_can_be_told(desk: Desk) -> None:
    assert advice_on(desk.context, desk.project, None, Spent()).verdict is Verdict.CANNOT_TELL


def test_a_curve_of_five_versions_gives_a_forecast(desk: Desk) -> None:
    for count in (30, 60, 90, 120, 150):
        version = desk.publish(count)
    advice = advice_on(desk.context, desk.project, version, Spent(labels=150))
    assert advice.forecast is not None and advice.forecast.points == 5
    assert advice.verdict in (Verdict.KEEP_GOING, Verdict.COULD_STOP)
    assert "the next 100 labels would bring" in advice.sentence


def test_a_version_of_an_earlier_release_has_metrics_but_no_story(desk: Desk) -> None:
    version = desk.publish(60)
    desk.context.store.delete(f"{desk.project.folder}/versions/{version.name}/history.json")
    advice = advice_on(desk.context, desk.project, version, Spent(labels=60))
    assert advice.verdict is Verdict.CANNOT_TELL
    assert "accuracy" in advice.sentence


def test_trainings_stop_only_where_that_is_asked_for(tmp_path: Path) -> None:
    for asked in (False, True):
        desk = Desk(tmp_path / str(asked), label_budget=60, stop_when_done=asked)
        version = desk.publish(60)
        learnt = list(desk.book.tasks.values())[:60]
        assert advice_on(desk.context, desk.project, version, Spent(60)).verdict is Verdict.BUDGET_SPENT
        why = why_stopped(desk.context, desk.project, version, learnt)
        assert ("60 of 60 labels" in why) is asked
        assert why_stopped(desk.context, desk.project, version, learnt[1:]) == ""


def test_a_target_stops_trainings_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path, target_accuracy=0.2, stop_when_done=True)
    version = desk.publish(60)
    assert "target of 20.0% is reached" in why_stopped(desk.context, desk.project, version, [])


def test_trainings_go_on_while_a_control_was_never_learnt(tmp_path: Path) -> None:
    desk = Desk(tmp_path, target_accuracy=0.2, stop_when_done=True)
    version = desk.publish(60)
    mood = '<Choices name="mood" toName="text"><Choice value="good"/><Choice value="bad"/></Choices>'
    topic = mood.replace("mood", "topic").replace("good", "food").replace("bad", "travel")
    asked = replace(desk.project, label_config=f'<View><Text name="text" value="$text"/>{topic}{mood}</View>')

    assert why_stopped(desk.context, desk.project, version, []) != ""
    assert why_stopped(desk.context, asked, version, []) == ""
    assert "mood" in advice_on(desk.context, asked, version, Spent(60)).sentence


def test_what_is_spent_is_counted_from_annotations() -> None:
    def annotation(skipped: bool, seconds: float) -> AnnotationRecord:
        return AnnotationRecord(1, 1, skipped, False, "2026", [], seconds)

    tasks = [
        TaskRecord(1, {}, "2026", (annotation(False, 1800.0), annotation(True, 900.0))),
        TaskRecord(2, {}, "2026", (annotation(False, 900.0),)),
        TaskRecord(3, {}, "2026"),
    ]
    assert spent_on(tasks, 2) == Spent(labels=2, annotations=2, hours=1.0)
    assert spent_on([], 0) == Spent()
