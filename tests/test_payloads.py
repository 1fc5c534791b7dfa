"""What Label Studio sends is read without stumbling over what is odd in it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelloop.errors import PayloadError
from labelloop.labelstudio import Event, ProjectKey, read_event

PROJECT = {
    "id": 4,
    "title": "rec",
    "created_at": "2026-11-23T22:18:53.999999Z",
    "label_config": "<View/>",
    "token": "SECRET-1",
    "task_data_login": "SECRET-2",
    "task_data_password": "SECRET-3",
}
SUBMITTED = {"id": 1, "result": [{"value": {"choices": ["a"]}}], "was_cancelled": False, "task": 7}
SKIPPED = {"id": 2, "result": [], "was_cancelled": True, "task": 8}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
ACTIONS = (
    "ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED", "TASKS_CREATED", "TASKS_DELETED",
    "PROJECT_UPDATED", "START_TRAINING", "LABEL_LINK_CREATED",
)  # fmt: skip


def event(action: str, **parts: Any) -> Event:
    return read_event({"action": action, "project": PROJECT, **parts})


def test_a_project_is_named_by_its_id_and_the_second_it_was_made_in() -> None:
    key = ProjectKey.from_project(PROJECT)
    assert str(key) == "4.1795472333"
    assert ProjectKey.parse("4.1795472333") == key


def test_the_moment_of_making_is_the_same_in_every_time_zone() -> None:
    elsewhere = {"id": 4, "created_at": "2026-11-24T00:18:53.999999+02:00"}
    assert ProjectKey.from_project(elsewhere) == ProjectKey.from_project(PROJECT)


@pytest.mark.parametrize(
    "text", ["", "4", "4.", ".5", "4.5.6", " 4.5", "4.5\n", "-4.5", "٤.5", "4" * 5000 + ".1", None, 4.5]
)
def test_what_does_not_name_a_project_is_refused(text: object) -> None:
    with pytest.raises(PayloadError, match="does not name a project"):
        ProjectKey.parse(text)


@pytest.mark.parametrize("project", [None, [], {}, {"id": 1}, {"id": 1, "created_at": 5}])
def test_a_project_without_id_or_moment_is_refused(project: object) -> None:
    with pytest.raises(PayloadError, match="no usable id and created_at"):
        ProjectKey.from_project(project)


@pytest.mark.parametrize("number", ["x", "٤", -4, True, 4.5, 10**18, 10**300])
def test_a_project_of_an_impossible_id_is_refused(number: object) -> None:
    with pytest.raises(PayloadError, match="no usable id and created_at"):
        ProjectKey.from_project({**PROJECT, "id": number})


@pytest.mark.parametrize("action", ["ANNOTATION_CREATED", "ANNOTATION_UPDATED"])
def test_a_submitted_annotation_is_one_change(action: str) -> None:
    seen = event(action, annotation=SUBMITTED, task={"id": 7})
    assert (seen.changes, seen.deletions, seen.project) == (1, 0, ProjectKey(4, 1795472333))
    assert (seen.title, seen.label_config) == ("rec", "<View/>")


def test_a_skip_is_no_change() -> None:
    assert event("ANNOTATION_CREATED", annotation=SKIPPED).changes == 0


def test_annotations_made_from_predictions_come_as_a_list_and_count_each() -> None:
    assert event("ANNOTATIONS_CREATED", annotation=[SUBMITTED, SKIPPED, SUBMITTED], task=[{}, {}, {}]).changes == 2


def test_deletions_come_in_the_plural_and_without_a_task() -> None:
    seen = event("ANNOTATIONS_DELETED", annotations=[{"id": 36}, {"id": 37}])
    assert (seen.changes, seen.deletions) == (2, 2)


def test_tasks_come_and_go() -> None:
    assert event("TASKS_CREATED", tasks=[{"id": 1}, {"id": 2}]).new_tasks == 2
    assert event("TASKS_DELETED", tasks=[{"id": 1}]).deleted_tasks == 1


def test_the_echo_of_a_changed_project_is_no_change_of_labels() -> None:
    seen = event("PROJECT_UPDATED")
    assert (seen.changes, seen.new_tasks, seen.deleted_tasks, seen.start_training) == (0, 0, 0, False)
    assert seen.label_config == "<View/>"


def test_start_training_is_understood_though_it_carries_only_the_project() -> None:
    assert event("START_TRAINING").start_training


def test_an_unknown_action_changes_nothing() -> None:
    assert event("LABEL_LINK_CREATED", label_link={}).changes == 0
    assert event("ANNOTATION_DELETED", annotation=SUBMITTED).changes == 0  # Label Studio never sends this one


def test_an_event_without_a_project_names_none() -> None:
    assert read_event({"action": "ANNOTATION_CREATED", "annotation": SUBMITTED}).project is None


@pytest.mark.parametrize("payload", [None, [], "START_TRAINING", 3, [{"action": "START_TRAINING"}]])
def test_an_event_that_is_no_object_is_refused(payload: object) -> None:
    with pytest.raises(PayloadError, match="must be a JSON object"):
        read_event(payload)


@given(
    st.sampled_from(ACTIONS) | JSON,
    st.dictionaries(st.sampled_from(["annotation", "annotations", "task", "tasks", "project", "label_link"]), JSON),
)
def test_no_odd_shape_raises(action: object, parts: dict[str, Any]) -> None:
    seen = read_event({**parts, "action": action})
    assert min(seen.changes, seen.deletions, seen.new_tasks, seen.deleted_tasks) >= 0
