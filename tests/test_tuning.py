"""Fine-tuning behind the live version: it gives way, goes on, asks the gate last, and what it publishes is kept by later rounds."""

import contextlib
import errno
import io
import itertools
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labelloop.errors import LearningError, MediaBroken, MediaError, MediaUnavailable, StoreError
from labelloop.labelstudio import ProjectKey
from labelloop.learning import GateDecision
from labelloop.learning.preparation import near_duplicate_groups
from labelloop.learning.tuning import TUNERS, TuneOptions
from labelloop.records import Kind
from labelloop.service import embedding, jobs, tuning_lesson
from labelloop.service.book import read_book, write_book
from labelloop.service.context import Context
from labelloop.service.embedding import Embedder
from labelloop.service.history import read_history
from labelloop.service.live import LiveModels
from labelloop.service.marks import Marks
from labelloop.service.projects import Project
from labelloop.service.queueing import PUSHES, TUNINGS, enqueue_tuning, others_wait, queue_of
from labelloop.service.releases import learner_record, release
from labelloop.service.report import report_on
from labelloop.service.state import TUNING
from labelloop.service.tuned import delete_unused, load_recorded
from labelloop.service.tuning import tune
from labelloop.service.tuning_deaths import MOST_DEATHS, Deaths
from labelloop.service.tuning_due import describe_tuning, tuning_is_due
from labelloop.service.tuning_state import Attempt, TuningState, read_tuning, write_tuning
from labelloop.service.tuning_verdict import judge_tuned, refusal
from support.redis_process import RedisProcess

pytest.importorskip("torch")
pytest.importorskip("torchvision")

from support.tuning_bench import CLASSES, digit_images, made_weights
from support.tuning_project import TuningProject, data_uri, digit_items, settings_for, silent

QUICK = TuneOptions(
    epochs=5, batch=16, head_rate=3e-3, backbone_rate=3e-3, first_layer_share=0.5, augmentation="none", threads=1
)
LABELLED = 80


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_weights(tmp_path_factory.mktemp("made"))


@pytest.fixture
def bench(
    tmp_path: Path, weights: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TuningProject]:
    tuned_by(monkeypatch, options=QUICK)
    context = Context(settings_for(tmp_path, weights, redis_server.url))
    project = TuningProject(context)
    project.label(LABELLED)
    project.publish()
    yield project
    context.redis.close()


@pytest.fixture(scope="module")
def tuned_store(tmp_path_factory: pytest.TempPathFactory, weights: Path, _redis_process: RedisProcess) -> Path:
    """A folder in which a tuned backbone has been published."""
    folder = tmp_path_factory.mktemp("tuned")
    context = Context(settings_for(folder, weights, _redis_process.url))
    project = TuningProject(context)
    project.label(LABELLED)
    project.publish()
    with pytest.MonkeyPatch.context() as patch:
        tuned_by(patch, options=QUICK)
        assert tune(context, project.project, never, silent)
    context.redis.close()
    return folder


@pytest.fixture
def tuned(tuned_store: Path, tmp_path: Path, weights: Path, redis_server: RedisProcess) -> Iterator[TuningProject]:
    shutil.copytree(tuned_store, tmp_path / "copy")
    context = Context(settings_for(tmp_path / "copy", weights, redis_server.url))
    yield TuningProject(context)
    context.redis.close()


def tuned_by(patch: pytest.MonkeyPatch, **other: Any) -> None:
    patch.setitem(TUNERS, Kind.CLASS, replace(TUNERS[Kind.CLASS], **other))  # type: ignore[index]


def never() -> bool:
    return False


def _with(bench: TuningProject, **settings: object) -> Context:
    return Context(bench.context.settings.model_copy(update=settings))


def test_a_tuned_backbone_is_published_and_orders_the_queue(bench: TuningProject) -> None:
    context, project = bench.context, bench.project
    before = context.versions(project).live()
    assert before is not None
    assert tuning_is_due(context, project)
    assert tune(context, project, never, silent)
    live = context.versions(project).live()

    assert live is not None
    assert live.parent == before.name
    assert live.learners[0].backbone.id != before.learners[0].backbone.id
    assert live.learners[0].metrics.accuracy > before.learners[0].metrics.accuracy
    assert queue_of(context.redis, PUSHES).count == 1
    # A push that is at its end would have this one refused, and the ticker asks again only for what is noted.
    assert Marks(context.redis, project.slug).push_wanted()
    (story,) = read_history(context, project, live.name).values()
    assert story.points[-1].version == live.name
    outcome = read_tuning(context.store, project.folder).outcome
    assert outcome.startswith(f"Published {live.name}.")
    assert report_on(context, project).fine_tuning == outcome
    assert not tuning_is_due(context, project)


def test_every_task_has_its_features_before_the_version_is_live(
    bench: TuningProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, project = bench.context, bench.project
    counted: list[int] = []

    def looked(*args: Any) -> Any:
        attempt = read_tuning(context.store, project.folder).attempt
        assert attempt is not None and attempt.backbone is not None
        counted.append(len(context.features(project, attempt.backbone.id)))
        return release(*args)

    monkeypatch.setattr("labelloop.service.tuning.release", looked)
    tune(context, project, never, silent)
    assert counted == [len(bench.items)]


def test_nothing_held_out_or_not_placed_yet_is_learnt(bench: TuningProject, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.label(LABELLED + 10)  # ten labels that no version has placed
    seen: list[Any] = []
    tuned_by(monkeypatch, fine_tune=lambda spec, lesson, *a, **k: seen.append(lesson))
    assert not tune(bench.context, bench.project, never, silent)
    scene = bench.scene()
    control = scene.config.controls[0]
    held = {content for content, out in scene.sides(control).items() if out}
    attempt = read_tuning(bench.context.store, bench.project.folder).attempt

    assert attempt is not None
    assert held
    assert held.isdisjoint(attempt.contents)
    learnt = attempt.labels.keys() | attempt.validation.keys()
    assert learnt <= set(range(1, LABELLED + 1))
    assert len(learnt) + len(held) == LABELLED
    assert attempt.labels.keys().isdisjoint(attempt.validation)
    assert (len(seen[0].items), len(seen[0].validation_items)) == (len(attempt.labels), len(attempt.validation))
    assert seen[0].items[0] == digit_images(110)[0][next(iter(attempt.labels)) - 1]


def test_it_gives_way_again_and_again_and_still_publishes(bench: TuningProject) -> None:
    context, project = bench.context, bench.project
    asked = itertools.count(1)
    turns = 0
    while not tune(context, project, lambda: next(asked) % 5 == 0, silent):
        turns += 1
        assert turns < 50
    outcome = read_tuning(context.store, project.folder).outcome

    assert turns > 3
    assert outcome.startswith("Published")
    assert context.store.read(f"{project.folder}/tuning-checkpoint.safetensors") is None


def test_one_that_the_worker_died_of_again_and_again_is_given_up(
    bench: TuningProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, project = bench.context, bench.project
    tuned_by(monkeypatch, fine_tune=lambda *_, **__: None)
    assert not tune(context, project, never, silent)
    for _ in range(MOST_DEATHS):
        assert Deaths(context.store, project.folder).begin()  # and is killed

    assert tuning_is_due(context, project)
    assert tune(context, project, never, silent)
    assert read_tuning(context.store, project.folder).outcome.startswith("Given up: the worker was killed")
    assert not tuning_is_due(context, project)
    assert Deaths(context.store, project.folder).begin(), "the next one begins anew"


@pytest.mark.parametrize("lives", ["gives way", "fails", "comes further"])
def test_one_that_lives_to_tell_is_not_counted_as_dead(
    bench: TuningProject, monkeypatch: pytest.MonkeyPatch, lives: str
) -> None:
    context, project = bench.context, bench.project
    counting = Deaths(context.store, project.folder)
    for _ in range(MOST_DEATHS + 1):
        for _ in range(MOST_DEATHS - 1):
            assert counting.begin()

        def lived(*args: Any, **more: Any) -> None:
            assert not counting.begin(), "this time is counted before it is begun"
            if lives == "fails":
                raise StoreError("the store cannot be reached")
            if lives == "comes further":
                args[4].keeper.write(b"checkpoint")

        tuned_by(monkeypatch, fine_tune=lived)
        with contextlib.suppress(StoreError):
            assert not tune(context, project, never, silent)
        assert read_tuning(context.store, project.folder).attempt is not None
    assert counting.begin()


def test_later_rounds_keep_the_tuned_backbone_and_others_do_not_get_it(tuned: TuningProject) -> None:
    context, project = tuned.context, tuned.project
    live = context.versions(project).live()
    assert live is not None
    control = tuned.scene().config.controls[0]
    assert learner_record(context.settings, control, live).backbone == live.learners[0].backbone
    other = replace(control, name="other")
    assert learner_record(context.settings, other, live).backbone.tuned == ""

    tuned.label(LABELLED + 10)
    following = tuned.publish()
    assert following.learners[0].backbone == live.learners[0].backbone
    models = LiveModels(context, lambda *_: None)
    models.refresh()
    model = models.of(ProjectKey(7, 1))
    assert model is not None
    assert model.version == following.name
    assert len(model.learners[0].features) == len(tuned.items)


def test_a_tuned_backbone_loads_from_the_store_and_from_a_remote_one(tuned: TuningProject, tmp_path: Path) -> None:
    context, project = tuned.context, tuned.project
    live = context.versions(project).live()
    assert live is not None
    record = live.learners[0]
    items, _ = digit_images(3)
    rows = load_recorded(context, record.backbone_spec, record.backbone).embed(items)
    elsewhere = Context(context.settings.model_copy(update={"store_url": "memory://tuned", "data_dir": tmp_path / "b"}))
    store = tmp_path / "copy" / "store"
    for path in (path for path in store.rglob("*") if path.is_file() and "tuned" in path.parts):
        elsewhere.store.write(str(path.relative_to(store)), path.read_bytes())

    again = load_recorded(elsewhere, record.backbone_spec, record.backbone).embed(items)
    assert np.array_equal(rows, again)
    context.store.delete(f"{project.folder}/tuned")
    with pytest.raises(StoreError, match="missing from the store"):
        load_recorded(context, record.backbone_spec, record.backbone)


def test_copies_of_what_a_remote_store_holds_no_longer_are_deleted(tuned: TuningProject, tmp_path: Path) -> None:
    live = tuned.context.versions(tuned.project).live()
    assert live is not None
    record, store = live.learners[0], tmp_path / "copy" / "store"
    away = Context(
        tuned.context.settings.model_copy(update={"store_url": "memory://copies", "data_dir": tmp_path / "b"})
    )
    for path in (path for path in store.rglob("*") if path.is_file() and "tuned" in path.parts):
        away.store.write(str(path.relative_to(store)), path.read_bytes())
    copies = tmp_path / "b" / "tuned" / tuned.project.folder / "tuned"
    (copies / "gone" / "files").mkdir(parents=True)
    (copies / "gone" / "files" / "weights.safetensors").write_bytes(b"many")
    load_recorded(away, record.backbone_spec, record.backbone)

    assert [folder.name for folder in copies.iterdir()] == [record.backbone.id]


def test_the_gates_refusal_is_kept_and_the_live_version_stays(
    bench: TuningProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, project = bench.context, bench.project
    before = context.versions(project).live_name()
    monkeypatch.setattr("labelloop.service.training.judge", lambda *a, **k: GateDecision(False, "Worse by far."))
    assert tune(context, project, never, silent)

    assert context.versions(project).live_name() == before
    assert report_on(context, project).fine_tuning.startswith("Refused: Worse by far.")
    assert context.store.names(f"{project.folder}/tuned") == []
    assert len(context.store.names(f"{project.folder}/features")) == 1
    assert not tuning_is_due(context, project)


def test_no_gain_is_refused_before_anything_is_embedded(bench: TuningProject, monkeypatch: pytest.MonkeyPatch) -> None:
    none = replace(QUICK, head_rate=0.0, backbone_rate=0.0, epochs=1)
    tuned_by(monkeypatch, options=none)
    assert tune(bench.context, bench.project, never, silent)

    outcome = read_tuning(bench.context.store, bench.project.folder).outcome
    assert outcome.startswith("Refused before the gate")
    assert len(bench.context.store.names(f"{bench.project.folder}/features")) == 1


def test_a_failure_is_kept_and_not_tried_again_at_once(bench: TuningProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise LearningError("The device melted.")

    tuned_by(monkeypatch, fine_tune=fail)
    with pytest.raises(LearningError):
        tune(bench.context, bench.project, never, silent)
    assert read_tuning(bench.context.store, bench.project.folder).outcome == "Failed: The device melted."
    assert not tuning_is_due(bench.context, bench.project)


@pytest.mark.parametrize("error", [MediaBroken, MediaUnavailable])
def test_media_that_is_gone_is_left_out_of_it(
    bench: TuningProject, monkeypatch: pytest.MonkeyPatch, error: type[MediaError], caplog: pytest.LogCaptureFixture
) -> None:
    had, gone = tuning_lesson.media_of, set[int]()

    def media_of(context: Any, control: Any, task_id: int, value: Any) -> Any:
        if not gone or task_id in gone:
            gone.add(task_id)
            raise error("answers 404.")
        return had(context, control, task_id, value)

    monkeypatch.setattr(tuning_lesson, "media_of", media_of)
    assert tune(bench.context, bench.project, never, silent)
    assert "is left out of the fine-tuning" in caplog.text
    assert not read_tuning(bench.context.store, bench.project.folder).outcome.startswith("Failed")


def test_a_host_that_is_away_is_waited_for(bench: TuningProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> Any:
        raise MediaUnavailable("The host does not answer.")

    monkeypatch.setattr(tuning_lesson, "media_of", away)
    with pytest.raises(MediaUnavailable):
        tune(bench.context, bench.project, never, silent)
    assert read_tuning(bench.context.store, bench.project.folder).attempt is not None


@pytest.mark.parametrize(("before", "after"), [('value="4"', 'value="four"'), ("$image", "$scan")])
def test_a_changed_label_config_ends_the_attempt(bench: TuningProject, before: str, after: str) -> None:
    context = bench.context
    assert not tune(context, bench.project, lambda: True, silent)
    changed = bench.project.label_config.replace(before, after)
    project = context.projects.register(bench.project.key, changed, "digits", 1)
    assert tune(context, project, never, silent)
    assert read_tuning(context.store, project.folder).outcome.startswith("Given up")


@pytest.mark.parametrize("gone", [1, LABELLED + 1])
def test_a_deleted_task_begins_the_attempt_anew(bench: TuningProject, gone: int) -> None:
    context, project = bench.context, bench.project
    context.settings.fine_tune_method = "mean_teacher"
    assert not tune(context, project, lambda: True, silent)
    book = read_book(context.store, project.folder)
    del book.tasks[gone]
    write_book(context.store, project.folder, book)
    assert tune(context, project, never, silent)
    assert read_tuning(context.store, project.folder).outcome.startswith("Begins anew")
    assert tuning_is_due(context, project)
    assert not tune(context, project, lambda: True, silent)
    attempt = read_tuning(context.store, project.folder).attempt
    assert attempt is not None
    assert gone not in {*attempt.labels, *attempt.validation, *attempt.unlabelled}


def test_nothing_is_tuned_for_an_object_that_the_live_version_has_not_read(bench: TuningProject) -> None:
    moved = bench.project.label_config.replace("$image", "$scan")
    bench.project = bench.context.projects.register(bench.project.key, moved, "digits", 1)
    scene = bench.scene()
    assert tuning_lesson.settle(scene, scene.live.learners[0]) is None


def test_labels_it_learnt_from_are_never_judged_on(bench: TuningProject) -> None:
    context, project = bench.context, bench.project
    asked = itertools.count()
    while read_tuning(context.store, project.folder).attempt is None or not _backbone(bench):
        tune(context, project, lambda: next(asked) % 40 == 39 or _backbone(bench), silent)
    live = context.versions(project).live()
    assert live is not None
    labels = context.versions(project).labels(live.name)
    attempt = read_tuning(context.store, project.folder).attempt
    assert attempt is not None
    labels["sides"]["digit"][attempt.contents[0]] = True
    context.store.write_json(f"{project.folder}/versions/{live.name}/labels.json", labels)
    assert tune(context, project, never, silent)

    assert "holds out" in read_tuning(context.store, project.folder).outcome
    assert context.versions(project).live_name() == live.name


def _backbone(bench: TuningProject) -> bool:
    attempt = read_tuning(bench.context.store, bench.project.folder).attempt
    return attempt is not None and attempt.backbone is not None


def test_a_version_that_goes_live_meanwhile_is_compared_with_next(
    bench: TuningProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, project = bench.context, bench.project

    def overtaken(*args: Any) -> Any:
        monkeypatch.setattr("labelloop.service.tuning.judge_tuned", judge_tuned)
        verdict = judge_tuned(*args)
        bench.publish()
        return verdict

    monkeypatch.setattr("labelloop.service.tuning.judge_tuned", overtaken)
    assert not tune(context, project, never, silent)
    overtaker = context.versions(project).live_name()
    assert tune(context, project, never, silent)
    live = context.versions(project).live()
    assert live is not None
    assert live.parent == overtaker


def test_what_no_version_stands_on_is_deleted(tuned: TuningProject) -> None:
    context, project = tuned.context, tuned.project
    versions = context.versions(project)
    live = versions.live()
    assert live is not None and live.parent is not None
    delete_unused(context, project)
    assert context.store.names(f"{project.folder}/tuned") == [live.learners[0].backbone.id]
    versions.make_live(live.parent)
    context.store.delete(f"{project.folder}/versions/{live.name}")
    delete_unused(context, project)
    assert context.store.names(f"{project.folder}/tuned") == []


def test_what_a_fine_tuning_has_just_kept_is_not_deleted_before_it_is_noted(context: Context, project: Project) -> None:
    training = TuningState({}, Attempt("digit", ("0", "1"), {}, {}, (), ()))
    write_tuning(context.store, project.folder, training)
    context.store.write(f"{project.folder}/tuned/fresh/files/model.safetensors", b"half")
    delete_unused(context, project)
    assert "fresh" in context.store.names(f"{project.folder}/tuned")
    write_tuning(context.store, project.folder, training.over("Failed"))
    delete_unused(context, project)
    assert "fresh" not in context.store.names(f"{project.folder}/tuned")


def test_what_a_version_of_a_later_release_stands_on_is_not_deleted(context: Context, project: Project) -> None:
    manifest = {"name": "v9-20260101-000000", "news": [{"backbone": {"id": "tuned-by-it", "unheard": "of"}}]}
    context.store.write_json(f"{project.folder}/versions/v9-20260101-000000/manifest.json", manifest)
    for backbone_id in ("tuned-by-it", "tuned-by-nobody"):
        context.store.write(f"{project.folder}/tuned/{backbone_id}/files/model.safetensors", b"whole")
    write_tuning(context.store, project.folder, TuningState({}, None))

    delete_unused(context, project)

    assert [version.name for version in context.versions(project).all()] == []
    assert context.store.names(f"{project.folder}/tuned") == ["tuned-by-it"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fine_tune": "off"}, "Off."),
        ({"fine_tune": "auto"}, "no NVIDIA GPU"),
        ({"fine_tune_from": 500}, "Waits for 500 labels of 'digit'; there are 80."),
        ({"holdout_min": 99}, "Waits for 99 held-out labels"),
    ],
)
def test_why_nothing_is_tuned_is_said(
    bench: TuningProject, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], said: str
) -> None:
    monkeypatch.setattr("labelloop.service.tuning_due._gpu", lambda device: False)
    context = _with(bench, **settings)
    live = context.versions(bench.project).live()

    assert not tuning_is_due(context, bench.project)
    assert said in describe_tuning(context, bench.project, live)
    assert tune(context, bench.project, never, silent)
    assert read_tuning(context.store, bench.project.folder).attempt is None


def test_a_budget_or_a_gpu_turns_it_on(bench: TuningProject, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tuning_is_due(_with(bench, fine_tune="auto", fine_tune_minutes=5), bench.project)
    assert tuning_is_due(_with(bench, fine_tune="auto", device="cuda"), bench.project)


def test_more_right_but_too_sure_is_refused(bench: TuningProject) -> None:
    scene = bench.scene()
    record = scene.live.learners[0]
    assert record.metrics is not None
    candidate = bench.candidate()
    now = replace(
        candidate, record=replace(candidate.record, metrics=replace(record.metrics, accuracy=0.5, log_loss=1.0))
    )

    def said(accuracy: float, log_loss: float) -> str:
        metrics = replace(record.metrics, accuracy=accuracy, log_loss=log_loss)
        return refusal(replace(candidate, record=replace(candidate.record, metrics=metrics)), now)

    assert said(0.6, 0.9) == ""
    assert "too sure" in said(0.6, 1.1)
    assert "features in use" in said(0.5, 0.1)


def test_it_is_tried_again_with_half_as_many_labels_more(bench: TuningProject, monkeypatch: pytest.MonkeyPatch) -> None:
    tuned_by(monkeypatch, fine_tune=lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tune(bench.context, bench.project, never, silent)
    bench.label(LABELLED + 20)
    bench.publish()
    assert not tuning_is_due(bench.context, bench.project)
    grown = TuningProject(bench.context, 130)
    grown.label(120)
    grown.publish()
    assert tuning_is_due(bench.context, grown.project)


def test_a_project_has_one_tuning_and_it_waits_for_everything_else(bench: TuningProject) -> None:
    context, slug = bench.context, bench.project.slug
    assert [enqueue_tuning(context.redis, slug, context.settings) for _ in range(3)] == [True, False, False]
    assert queue_of(context.redis, TUNINGS).count == 1
    assert not others_wait(context.redis)
    queue_of(context.redis, PUSHES).enqueue("time.sleep", 0)
    assert others_wait(context.redis)


def test_of_two_tunings_at_once_the_later_goes_on(bench: TuningProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after Redis lost its data in the middle of one, where there are several workers."""
    gives_way: list[bool] = []

    def noted(context: Context, project: Project, give_way: Callable[[], bool], report: object) -> bool:
        gives_way.append(give_way())
        Marks(context.redis, project.slug).begin(TUNING)
        gives_way.append(give_way())
        return True

    monkeypatch.setattr(jobs, "tune", noted)
    jobs._tune(bench.context, bench.project)
    assert gives_way == [False, True]


@pytest.mark.parametrize("settings", [{"device": "auto"}, {"offline": False}])
def test_a_tuned_backbone_is_kept_wherever_it_runs(tuned: TuningProject, settings: dict[str, object]) -> None:
    live = tuned.context.versions(tuned.project).live()
    assert live is not None
    control, moved = tuned.scene().config.controls[0], _with(tuned, **settings)
    found = learner_record(moved.settings, control, live)

    assert found.backbone == live.learners[0].backbone
    assert (found.backbone_spec.device, found.backbone_spec.offline) == (moved.settings.device, moved.settings.offline)


def test_what_is_tuned_from_a_backbone_that_is_no_longer_asked_for_is_not_published(bench: TuningProject) -> None:
    context, project = bench.context, bench.project
    before = context.versions(project).live_name()
    while not _backbone(bench):
        tune(context, project, lambda: _backbone(bench), silent)
    other = _with(bench, image_backbone="plain", image_weights="")
    assert tune(other, project, never, silent)

    assert context.versions(project).live_name() == before
    assert read_tuning(context.store, project.folder) == TuningState(outcome="Begins anew: another backbone is set.")


def test_a_task_with_an_answer_that_people_are_still_served_is_not_learnt_as_an_unlabelled_one(
    bench: TuningProject,
) -> None:
    context = _with(bench, fine_tune_method="mean_teacher")
    project = context.projects.register(bench.project.key, bench.project.label_config, "digits", 2)
    assert not tune(context, project, lambda: True, silent)
    attempt = read_tuning(context.store, project.folder).attempt

    assert attempt is not None
    assert attempt.unlabelled == tuple(range(LABELLED + 1, 111))


def test_near_duplicates_do_not_decide_when_to_stop_learning_each_other(bench: TuningProject) -> None:
    stored = [io.BytesIO() for _ in range(60)]
    for item, copy in zip(digit_images(60)[0], stored, strict=True):
        Image.open(io.BytesIO(item)).save(copy, "BMP")
    answers = [result for _, result in digit_items(60)]
    copies = [({"image": data_uri(copy.getvalue())}, result) for copy, result in zip(stored, answers, strict=True)]
    project = TuningProject(bench.context, items=[*digit_items(60), *copies])
    project.label(120)
    project.publish()
    assert not tune(bench.context, project.project, lambda: True, silent)
    attempt = read_tuning(bench.context.store, project.project.folder).attempt

    assert attempt is not None
    assert attempt.validation
    assert not {task_id % 60 for task_id in attempt.labels} & {task_id % 60 for task_id in attempt.validation}


def test_both_heads_of_a_verdict_go_by_the_same_near_duplicates(
    bench: TuningProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that the features in use tell, found once: among many labels it takes seconds."""
    found: list[np.ndarray] = []

    def grouped(features: np.ndarray) -> np.ndarray:
        found.append(near_duplicate_groups(features))
        return found[-1]

    monkeypatch.setattr("labelloop.service.training.near_duplicate_groups", grouped)
    assert tune(bench.context, bench.project, never, silent)

    assert [len(groups) for groups in found] == [LABELLED]


def test_a_changed_label_config_costs_no_try(bench: TuningProject) -> None:
    assert not tune(bench.context, bench.project, lambda: True, silent)
    richer = bench.project.label_config.replace("</Choices>", '<Choice value="9"/></Choices>')
    bench.project = bench.context.projects.register(bench.project.key, richer, "digits", 1)
    assert tune(bench.context, bench.project, never, silent)
    assert read_tuning(bench.context.store, bench.project.folder).outcome.startswith("Given up")
    bench.publish()
    assert tuning_is_due(bench.context, bench.project)


@pytest.mark.parametrize("begun", [True, False])
def test_a_control_that_comes_to_ask_about_regions_ends_the_attempt(bench: TuningProject, begun: bool) -> None:
    context = bench.context
    if begun:
        assert not tune(context, bench.project, lambda: True, silent)
    boxes = '<RectangleLabels name="box" toName="image"><Label value="a"/></RectangleLabels></View>'
    changed = bench.project.label_config.replace("<Choices ", '<Choices perRegion="true" ').replace("</View>", boxes)
    project = context.projects.register(bench.project.key, changed, "digits", 1)
    assert tune(context, project, never, silent)
    state = read_tuning(context.store, project.folder)
    assert state.attempt is None
    assert state.outcome == ("Given up: the label config has changed." if begun else "")


def test_labels_that_come_from_the_tasks_are_learnt(bench: TuningProject) -> None:
    offered = [{"value": label} for label in CLASSES]
    items = [(data | {"options": offered}, result) for data, result in digit_items(110)]
    config = '<View><Image name="image" value="$image"/><Choices name="digit" toName="image" value="$options"/></View>'
    project = TuningProject(bench.context, config=config, items=items)
    project.label(LABELLED)
    before = project.publish()
    assert tuning_is_due(bench.context, project.project)
    assert tune(bench.context, project.project, never, silent)
    live = bench.context.versions(project.project).live()
    assert live is not None
    assert live.parent == before.name
    assert live.learners[0].classes == CLASSES


def test_a_publication_that_was_cut_off_is_told_of(bench: TuningProject, monkeypatch: pytest.MonkeyPatch) -> None:
    context, project = bench.context, bench.project

    def cut_off(*_: Any) -> None:
        raise StoreError("The store cannot be reached.")

    monkeypatch.setattr("labelloop.service.tuning.note_history", cut_off)
    with pytest.raises(StoreError):
        tune(context, project, never, silent)
    monkeypatch.undo()
    live = context.versions(project).live()
    assert live is not None and live.learners[0].backbone.tuned
    assert tune(context, project, never, silent)

    assert context.versions(project).live_name() == live.name
    assert read_tuning(context.store, project.folder).outcome.startswith(f"Published {live.name}.")
    assert queue_of(context.redis, PUSHES).count == 1


def test_one_that_has_embedded_more_has_come_further(bench: TuningProject, monkeypatch: pytest.MonkeyPatch) -> None:
    context, project, deaths = bench.context, bench.project, list[Any]()
    embed = Embedder.embed

    def watched(self: Embedder, tasks: Any, report: Any) -> Any:
        deaths.append(context.store.read_json(f"{project.folder}/tuning-deaths.json"))
        return embed(self, tasks, report)

    monkeypatch.setattr("labelloop.service.tuning.EMBED_SLICE", 40)
    while not _backbone(bench):
        tune(context, project, lambda: _backbone(bench), silent)
    monkeypatch.setattr(Embedder, "embed", watched)
    assert tune(context, project, never, silent)
    assert deaths[:3] == [1, None, None]


def test_a_full_disk_costs_no_training(bench: TuningProject, monkeypatch: pytest.MonkeyPatch) -> None:
    context, project, done = bench.context, bench.project, list[int]()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("labelloop.learning.tuning.pictures.write_state", full)
        with pytest.raises(OSError, match="No space"):
            tune(context, project, never, silent)
    assert read_tuning(context.store, project.folder).attempt is not None
    assert tune(context, project, never, lambda step, at, _: done.append(at) if step == "fine-tune" else None)
    assert not done, "it was trained to its end before"
    assert read_tuning(context.store, project.folder).outcome.startswith("Published")


def test_one_under_way_is_not_told_of_as_such_once_it_is_turned_off(bench: TuningProject) -> None:
    assert not tune(bench.context, bench.project, lambda: True, silent)
    live = bench.context.versions(bench.project).live()
    assert describe_tuning(bench.context, bench.project, live).startswith("Learns")
    assert describe_tuning(_with(bench, fine_tune="off"), bench.project, live) == "Off."


def _away(monkeypatch: pytest.MonkeyPatch, tasks: Collection[int]) -> None:
    """Have the media of some tasks away from now on."""
    had = embedding.media_of

    def media_of(context: Any, control: Any, task_id: int, value: Any) -> Any:
        if task_id in tasks:
            raise MediaUnavailable("The host does not answer.")
        return had(context, control, task_id, value)

    monkeypatch.setattr(embedding, "media_of", media_of)


def test_both_backbones_are_judged_on_the_same_items(bench: TuningProject, monkeypatch: pytest.MonkeyPatch) -> None:
    context, project, judged = bench.context, bench.project, list[Any]()
    while not _backbone(bench):
        tune(context, project, lambda: _backbone(bench), silent)
    attempt = read_tuning(context.store, project.folder).attempt
    assert attempt is not None
    held_out = sorted({*range(1, LABELLED + 1)} - attempt.labels.keys() - attempt.validation.keys())
    _away(monkeypatch, held_out[:5])
    monkeypatch.setattr(
        "labelloop.service.tuning_verdict.refusal", lambda tuned, in_use: judged.extend((tuned, in_use)) or "Seen."
    )
    assert tune(context, project, never, silent)

    assert [one.record.metrics.items for one in judged] == [len(held_out) - 5] * 2


def test_media_that_is_away_for_a_third_of_the_tasks_is_waited_for(
    bench: TuningProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, project = bench.context, bench.project
    before = context.versions(project).live_name()
    while not _backbone(bench):
        tune(context, project, lambda: _backbone(bench), silent)
    with monkeypatch.context() as patch:
        _away(patch, range(1, 111, 3))
        with pytest.raises(MediaUnavailable):
            tune(context, project, never, silent)
    assert context.versions(project).live_name() == before
    assert tune(context, project, never, silent)
    assert read_tuning(context.store, project.folder).outcome.startswith("Published")
