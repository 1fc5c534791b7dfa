"""The client against a real Label Studio: every fact of the contract that the client relies on."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from labelloop.errors import LabelStudioDenied, LabelStudioRejected, MediaBroken, MediaUnavailable
from labelloop.labelstudio import (
    LabelStudio,
    MediaFetcher,
    ProjectKey,
    merge,
    parse_label_config,
    prediction_json,
    read_task,
)
from labelloop.records import ClassPrediction, Modality
from labelloop.settings import Settings
from support.site import Site
from support.studio_process import StudioProcess

pytestmark = pytest.mark.studio

XML = """<View><Text name="t" value="$text"/><Choices name="c" toName="t">
<Choice value="Katze" alias="cat"/><Choice value="dog"/></Choices></View>"""
(CONTROL,) = parse_label_config(XML).controls


def choice(label: str) -> list[dict[str, Any]]:
    return [{"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": [label]}}]


def predictions(ids: list[int], version: str) -> list[dict[str, Any]]:
    """The last task is the most urgent."""
    return [
        prediction_json(task_id, version, 1 - place / len(ids), [(CONTROL, ClassPrediction("cat", 0.8, 0.2))], {})
        for place, task_id in enumerate(ids, start=1)
    ]


@pytest.fixture(scope="module")
def client(studio: StudioProcess) -> LabelStudio:
    studio.start()
    return LabelStudio(studio.url, studio.api_key)


@pytest.fixture
def project(client: LabelStudio) -> Iterator[int]:
    made = client.create_project("client", XML)
    client.import_tasks(made["id"], [{"data": {"text": f"text {number}"}} for number in range(12)])
    yield made["id"]
    client.delete(f"/api/projects/{made['id']}/")


@pytest.fixture
def ids(client: LabelStudio, project: int) -> list[int]:
    return [task["id"] for task in client.tasks(project)]


def test_it_tells_its_version_and_who_asks(client: LabelStudio, studio: StudioProcess) -> None:
    assert client.version() == "1.23.2"
    assert client.whoami()["email"] == studio.username


def test_a_legacy_token_is_denied_until_it_is_allowed(studio: StudioProcess) -> None:
    legacy = LabelStudio(studio.url, studio.legacy_key)
    with pytest.raises(LabelStudioDenied, match="legacy token authentication has been disabled"):
        legacy.whoami()
    studio.allow_legacy_key(True)
    try:
        assert legacy.whoami()["email"] == studio.username
    finally:
        studio.allow_legacy_key(False)


def test_a_token_of_somewhere_else_is_denied(studio: StudioProcess) -> None:
    with pytest.raises(LabelStudioDenied, match="personal access token"):
        LabelStudio(studio.url, studio.api_key[:-4] + "AAAA").whoami()


def test_a_project_that_is_not_there_is_rejected_with_404(client: LabelStudio) -> None:
    with pytest.raises(LabelStudioRejected) as raised:
        client.project(10**6)
    assert raised.value.status == 404


def test_a_project_is_named_as_label_studio_names_it_to_a_backend(client: LabelStudio, project: int) -> None:
    assert project in [found["id"] for found in client.projects()]
    with Site() as backend:
        bodies: list[dict[str, Any]] = []
        backend.pages["/health"] = b'{"status": "UP"}'
        backend.on_post = lambda path, body: bodies.append(body) or {"model_version": "v1"}  # type: ignore[func-returns-value]
        made = client.create_ml_backend(url=backend.url, project=project, title="ours", auth_method="NONE")
        assert {body["project"] for body in bodies} == {str(ProjectKey.from_project(client.project(project)))}
        assert [found["id"] for found in client.ml_backends(project)] == [made["id"]]
        changed = client.update_ml_backend(made["id"], url=backend.url, project=project, title="still ours")
        assert changed["title"] == "still ours"
        client.delete_ml_backend(made["id"])
        assert client.ml_backends(project) == []
        left_behind = [webhook["id"] for webhook in client.webhooks(project)]
        assert left_behind, "Label Studio leaves the webhook behind"


def test_webhooks_come_change_and_go(client: LabelStudio, project: int) -> None:
    made = client.create_webhook(project, "http://127.0.0.1:9/webhook", send_for_all_actions=True, send_payload=True)
    changed = client.update_webhook(made["id"], url=made["url"], headers={"X-Secret": "s"}, is_active=False)
    assert (changed["headers"], changed["is_active"]) == ({"X-Secret": "s"}, False)
    client.delete_webhook(made["id"])
    assert client.webhooks(project) == []


def test_annotations_come_with_their_tasks(client: LabelStudio, project: int, ids: list[int]) -> None:
    client.annotate(ids[3], choice("cat"), lead_time=12.5)
    client.annotate(ids[4], [], was_cancelled=True)
    tasks = {task["id"]: read_task(task) for task in client.tasks(project, page_size=5)}
    assert list(tasks) == ids
    assert tasks[ids[3]].data == {"text": "text 3"}
    (annotation,) = tasks[ids[3]].annotations
    assert (annotation.result, annotation.was_cancelled, annotation.ground_truth) == (choice("cat"), False, False)
    assert annotation.completed_by == client.whoami()["id"]
    assert annotation.lead_time == 12.5
    assert [one.was_cancelled for one in tasks[ids[4]].annotations] == [True]
    labels = {task_id: merge(CONTROL, task) for task_id, task in tasks.items()}
    assert {task_id: target.label for task_id, target in labels.items() if target} == {ids[3]: "cat"}
    assert read_task(client.task(ids[3])).annotations == tasks[ids[3]].annotations


def test_what_changed_since_a_moment_comes_alone(client: LabelStudio, project: int, ids: list[int]) -> None:
    def changed(watermark: str) -> list[int]:
        return [task["id"] for task in client.tasks(project, updated_since=watermark, page_size=2)]

    client.annotate(ids[7], choice("dog"))
    watermark = client.task(ids[7])["updated_at"]
    client.annotate(ids[9], choice("dog"))
    client.annotate(ids[2], [], was_cancelled=True)
    assert changed(watermark) == [ids[2], ids[7], ids[9]]
    watermark = max(task["updated_at"] for task in client.tasks(project))
    (annotation,) = client.task(ids[7])["annotations"]
    client.patch(f"/api/annotations/{annotation['id']}/", {"result": choice("cat")})
    assert ids[7] in changed(watermark)


def test_a_moment_is_compared_to_the_microsecond(client: LabelStudio, project: int, ids: list[int]) -> None:
    moments = sorted(task["updated_at"] for task in client.tasks(project))
    assert len(list(client.tasks(project, updated_since=moments[-1]))) == moments.count(moments[-1]) < len(moments)


def test_scores_order_the_queue_lowest_first(client: LabelStudio, project: int, ids: list[int]) -> None:
    assert client.import_predictions(project, predictions(ids, "v1-a")) == 12
    client.update_project(project, model_version="v1-a", sampling="Uncertainty sampling")
    served = []
    while (task := client.next_task(project)) is not None:
        served.append(task["id"])
        client.annotate(task["id"], choice("cat"))
    assert served == ids[::-1]


def test_a_version_cannot_be_selected_before_it_has_predictions(client: LabelStudio, project: int) -> None:
    with pytest.raises(LabelStudioRejected, match="Model version doesn't exist"):
        client.update_project(project, model_version="v9")


def test_importing_predictions_touches_no_task(client: LabelStudio, project: int, ids: list[int]) -> None:
    before = [(task["id"], task["updated_at"]) for task in client.tasks(project)]
    client.import_predictions(project, predictions(ids, "v1-a"))
    client.clear_predictions(project, ids[:6])
    assert [(task["id"], task["updated_at"]) for task in client.tasks(project)] == before


def test_invalid_predictions_are_dropped_in_silence_which_the_count_tells(
    client: LabelStudio, project: int, ids: list[int]
) -> None:
    wrong = [{**item, "score": 7.0} for item in predictions(ids[:5], "v1-a")]
    assert client.import_predictions(project, wrong + predictions(ids[5:], "v1-a")) == 7


def test_a_task_of_another_project_fails_the_whole_import(client: LabelStudio, project: int, ids: list[int]) -> None:
    with pytest.raises(LabelStudioRejected):
        client.import_predictions(project, predictions([*ids, 10**7], "v1-a"))
    assert client.model_versions(project) == {}


def test_versions_are_counted_and_what_lacks_one_is_found(client: LabelStudio, project: int, ids: list[int]) -> None:
    client.import_predictions(project, predictions(ids[:8], "v1-a"))
    client.import_predictions(project, predictions(ids[:3], "v2-b"))
    assert client.model_versions(project) == {"v1-a": 8, "v2-b": 3}
    assert list(client.tasks_without(project, "v1-a")) == ids[8:]
    assert list(client.tasks_without(project, "v2-b")) == ids[3:]
    assert list(client.tasks_without(project, "v3-c")) == ids


def test_tasks_are_counted_by_annotation_and_by_score(client: LabelStudio, project: int, ids: list[int]) -> None:
    client.annotate(ids[0], choice("cat"))
    client.annotate(ids[1], [], was_cancelled=True)
    client.import_predictions(project, predictions(ids[:5], "v1-a"))
    client.update_project(project, model_version="v1-a")
    assert client.count_tasks(project) == 12
    assert (client.count_tasks(project, annotated=True), client.count_tasks(project, annotated=False)) == (1, 11)
    assert (client.count_tasks(project, scored=True), client.count_tasks(project, scored=False)) == (5, 7)
    assert client.count_tasks(project, annotated=False, scored=True) == 4


def test_predictions_are_cleared_task_by_task_whatever_their_version(
    client: LabelStudio, project: int, ids: list[int]
) -> None:
    for version in ("v1-a", "v2-b"):
        client.import_predictions(project, predictions(ids, version))
    client.update_project(project, model_version="v2-b")
    assert client.clear_predictions(project, ids[:4]) == 8
    assert client.model_versions(project) == {"v1-a": 8, "v2-b": 8}
    assert client.project(project)["model_version"] == "v2-b"


def test_an_old_version_can_be_deleted_and_the_selected_one_stays(
    client: LabelStudio, project: int, ids: list[int]
) -> None:
    for version in ("v1-a", "v2-b"):
        client.import_predictions(project, predictions(ids, version))
    client.update_project(project, model_version="v2-b")
    client.delete_model_version(project, "v1-a")
    assert client.model_versions(project) == {"v2-b": 12}
    assert client.project(project)["model_version"] == "v2-b"


def test_an_uploaded_image_is_fetched_and_a_lost_one_is_broken(
    client: LabelStudio, studio: StudioProcess, tmp_path: Path
) -> None:
    out = io.BytesIO()
    Image.new("RGB", (20, 20), (200, 0, 0)).save(out, "PNG")
    made = client.create_project("images", XML.replace("<Text", "<Image").replace("$text", "$image"))
    upload = studio.session().post(
        f"{studio.url}/api/projects/{made['id']}/import",
        files={"file": ("red.png", out.getvalue(), "image/png")},
        timeout=60,
    )
    assert upload.ok, upload.text
    (task,) = client.tasks(made["id"])
    settings = Settings(label_studio_url=studio.url, label_studio_api_key=studio.api_key)
    fetcher = MediaFetcher(client, tmp_path, settings)
    assert task["data"]["image"].startswith("/data/upload/")
    assert fetcher.fetch(task["id"], task["data"]["image"], Modality.IMAGE) == out.getvalue()
    with pytest.raises(MediaUnavailable, match="403"):  # until Label Studio is told to serve local files
        fetcher.fetch(task["id"], "/data/local-files/?d=gone.png", Modality.IMAGE)
    for lost in ("/data/upload/1/gone.png", "s3://no-bucket/gone.png"):
        with pytest.raises(MediaBroken, match=r"not there|no longer has"):
            fetcher.fetch(task["id"], lost, Modality.IMAGE)
    client.delete(f"/api/projects/{made['id']}/")


def test_more_uploads_than_sqlite_takes_at_once_are_read(client: LabelStudio, studio: StudioProcess) -> None:
    project = client.create_project("uploads", '<View><Image name="image" value="$image"/></View>')["id"]
    browser = studio.session()
    for start in range(0, 1100, 100):
        files = {f"f{n}": (f"{n}.png", b"\x89PNG\r\n\x1a\n", "image/png") for n in range(start, start + 100)}
        address = f"{studio.url}/api/projects/{project}/import"
        browser.post(address, files=files, timeout=60).raise_for_status()
    assert len({task["id"] for task in client.tasks(project)}) == 1100
