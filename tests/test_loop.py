"""The whole loop on a real Label Studio: connect, label along the served order, and find a better version live."""

from collections.abc import Iterator

import pytest
from label_studio_sdk.label_interface import LabelInterface

from labelloop.labelstudio import LabelStudio
from labelloop.service.context import Context
from labelloop.service.projects import Project
from labelloop.service.state import read_state
from support.annotating import (
    IMAGE_CONFIG,
    TEXT_CONFIG,
    Job,
    add_texts,
    assert_served_by_score,
    image_job,
    labels_in_label_studio,
    scores_of,
    sentences,
    text_job,
    wait_until_settled,
)
from support.loop_process import LoopProcesses, label_studio_of, running_loop, until
from support.studio_process import StudioProcess

pytestmark = [pytest.mark.studio, pytest.mark.slow]


@pytest.fixture
def label_studio(studio: StudioProcess) -> LabelStudio:
    return label_studio_of(studio)


@pytest.fixture(scope="module")
def running(studio: StudioProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopProcesses]:
    """One server and one worker for all projects of this module."""
    with running_loop(tmp_path_factory.mktemp("loop"), studio, {}) as processes:
        yield processes


@pytest.fixture
def loop(running: LoopProcesses) -> Iterator[LoopProcesses]:
    """The running loop; what a test connects is disconnected when it is over, so that its rounds do not delay the next ones'."""
    yield running
    running.disconnect_all()


def ordered(loop: LoopProcesses, job: Job) -> tuple[Context, Project, str]:
    """Connect the project and wait for the first order of its queue; with the cold version's name."""
    project = loop.connect(job.project_id)
    context = loop.context()

    def cold() -> str:
        live = context.versions(project).live_name()
        return live if live and len(scores_of(job, live)) == len(job.truth) else ""

    name = until(cold, 60, lambda: f"the queue is ordered before the first label\n{loop.logs()}")
    return context, project, str(name)


@pytest.mark.parametrize("kind", ["text", "image"])
def test_the_loop_closes(loop: LoopProcesses, studio: StudioProcess, label_studio: LabelStudio, kind: str) -> None:
    job = text_job(label_studio) if kind == "text" else image_job(label_studio, studio.session())
    config = TEXT_CONFIG if kind == "text" else IMAGE_CONFIG
    context, project, cold = ordered(loop, job)
    assert cold.endswith("-cold")
    assert_served_by_score(job, cold)
    seen = [cold]
    for _ in range(3):
        job.answer_served(8)
        seen.append(wait_until_settled(job, context, project))
        assert_served_by_score(job, seen[-1])
    assert len(set(seen)) == 4
    version = context.versions(project).live()
    assert version is not None
    assert version.labels + version.holdout == 24
    _assert_predictions_are_valid_and_mostly_right(job, seen[-1], config)
    until(lambda: list(label_studio.model_versions(job.project_id)) == [seen[-1]], 30, "old predictions are pruned")


def _assert_predictions_are_valid_and_mostly_right(job: Job, version: str, config: str) -> None:
    interface = LabelInterface(config)
    unlabelled, right = set(job.unlabelled()), 0
    for prediction in job.label_studio.get("/api/predictions/", params={"project": job.project_id}):
        if prediction["model_version"] != version or prediction["task"] not in unlabelled:
            continue
        assert interface.validate_prediction(prediction, return_errors=True) == []
        right += prediction["result"][0]["value"]["choices"] == [job.truth[prediction["task"]]]
    assert right / len(unlabelled) > 0.6


def test_two_annotators_get_different_tasks_in_one_order(
    loop: LoopProcesses, studio: StudioProcess, label_studio: LabelStudio
) -> None:
    job = text_job(label_studio, 30)
    *_, cold = ordered(loop, job)
    scores = scores_of(job, cold)
    served = f"{studio.url}/api/projects/{job.project_id}/next"
    tasks = [browser.get(served, timeout=30).json()["id"] for browser in (studio.session(), studio.another_person())]
    assert tasks == sorted(scores, key=scores.__getitem__)[:2]


def test_without_any_webhook_the_same_labels_end_in_a_version(loop: LoopProcesses, label_studio: LabelStudio) -> None:
    job = text_job(label_studio, 40)
    context, project, _ = ordered(loop, job)
    for webhook in label_studio.webhooks(job.project_id):
        label_studio.update_webhook(webhook["id"], url=webhook["url"], is_active=False)
    job.answer_served(9)
    wait_until_settled(job, context, project)


def test_what_no_event_tells_is_found(loop: LoopProcesses, label_studio: LabelStudio) -> None:
    job = text_job(label_studio, 40)
    context, project, _ = ordered(loop, job)
    annotations = [job.answer(task_id) for task_id in list(job.truth)[:9]]
    wait_until_settled(job, context, project)

    label_studio.delete(f"/api/annotations/{annotations[0]['id']}/")
    label_studio.post(f"/api/annotations/{annotations[1]['id']}/convert-to-draft", {})
    imported = {"data": {"text": "imported with its label"}, "annotations": [{"result": [job.region("food")]}]}
    label_studio.import_tasks(job.project_id, [imported])
    label_studio.delete(f"/api/tasks/{annotations[2]['task']}/")
    del job.truth[annotations[2]["task"]]
    wait_until_settled(job, context, project)
    assert len(labels_in_label_studio(job)) == 7


def test_skipping_is_no_label(loop: LoopProcesses, label_studio: LabelStudio) -> None:
    job = text_job(label_studio, 30)
    context, project, _ = ordered(loop, job)
    for task_id in list(job.truth)[:8]:
        label_studio.annotate(task_id, [], was_cancelled=True)
    state = until(
        lambda: (s := read_state(context.store, project.folder)).tasks == 30 and s.last_round_at and s, 30, "a round"
    )
    assert (state.labels, state.changes) == (0, 0)
    live = context.versions(project).live()
    assert live is not None
    assert live.stage == "cold"


def test_new_tasks_are_scored_when_they_arrive(loop: LoopProcesses, label_studio: LabelStudio) -> None:
    job = text_job(label_studio, 30)
    context, project, _ = ordered(loop, job)
    job.answer_served(9)
    wait_until_settled(job, context, project)
    add_texts(job, sentences(45, seed=1)[30:])
    wait_until_settled(job, context, project)


def test_a_class_is_gained_lost_and_renamed_in_the_middle(loop: LoopProcesses, label_studio: LabelStudio) -> None:
    job = text_job(label_studio, 45)
    context, project, _ = ordered(loop, job)
    for task_id in list(job.truth)[:12]:
        job.answer(task_id)
    first = wait_until_settled(job, context, project)
    renamed = TEXT_CONFIG.replace('value="travel"', 'value="journey"')
    label_studio.update_project(job.project_id, label_config=renamed)
    for task_id, topic in list(job.truth.items())[12:24]:
        job.answer(task_id, "journey" if topic == "travel" else topic)

    def learnt() -> bool:
        live = context.versions(project).live()
        state = read_state(context.store, project.folder)
        return (
            live is not None
            and live.name != first
            and live.learners[0].classes == ("weather", "food", "journey")
            and any("'travel'" in note for note in state.set_aside)
            and live.labels + live.holdout == 20
        )

    until(learnt, 60, lambda: f"the new class is learnt: {read_state(context.store, project.folder)}")


def test_a_broken_task_is_set_aside_and_the_rest_goes_on(
    loop: LoopProcesses, studio: StudioProcess, label_studio: LabelStudio
) -> None:
    job = image_job(label_studio, studio.session(), 30)
    broken = [
        {"image": "http://elsewhere.invalid/forbidden.png"},
        {"image": "data:image/png;base64,bm90IGFuIGltYWdl"},
        {"image": "/data/upload/999/missing.png"},
    ]
    label_studio.import_tasks(job.project_id, broken)
    project = loop.connect(job.project_id)
    context = loop.context()
    for task_id in list(job.truth)[:9]:
        job.answer(task_id)
    wait_until_settled(job, context, project)
    state = until(
        lambda: len((s := read_state(context.store, project.folder)).broken) == 3 and s,
        30,
        lambda: f"broken tasks are noted: {read_state(context.store, project.folder).broken}",
    )
    assert all(note.reason for note in state.broken.values())
