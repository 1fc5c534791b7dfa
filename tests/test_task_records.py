"""Tasks as Label Studio tells them become plain records that survive being kept."""

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelloop.errors import PayloadError
from labelloop.labelstudio import AnnotationRecord, TaskRecord, read_task

REGION = {"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": ["a"]}}


def told(**fields: Any) -> dict[str, Any]:
    annotation = {
        "id": 10016, "result": [REGION], "was_cancelled": False, "ground_truth": True, "updated_at": "2026-11-23T22:18:57.463346Z",
        "created_at": "2026-11-23T22:18:57.463314Z", "lead_time": 3.2, "completed_by": 1, "task": 5329, "project": 4,
    }  # fmt: skip
    return {
        "id": 5329, "data": {"text": "doc 0"}, "meta": {}, "updated_at": "2026-11-23T22:18:57.500000Z", "predictions": [],
        "annotations": [{**annotation, **fields}],
    }  # fmt: skip


def test_a_task_keeps_what_is_needed() -> None:
    assert read_task(told()) == TaskRecord(
        id=5329,
        data={"text": "doc 0"},
        updated_at="2026-11-23T22:18:57.500000Z",
        annotations=(
            AnnotationRecord(
                id=10016,
                completed_by=1,
                was_cancelled=False,
                ground_truth=True,
                updated_at="2026-11-23T22:18:57.463346Z",
                result=[REGION],
                lead_time=3.2,
            ),
        ),
    )


def test_a_record_survives_being_kept_as_json() -> None:
    task = read_task(told())
    assert TaskRecord.from_json(json.loads(json.dumps(task.to_json()))) == task


@pytest.mark.parametrize(("said", "annotator"), [(7, 7), ({"id": 7, "email": "x@y"}, 7), (None, None), ({}, None)])
def test_the_annotator_may_be_an_id_or_an_object(said: object, annotator: int | None) -> None:
    assert read_task(told(completed_by=said)).annotations[0].completed_by == annotator


@pytest.mark.parametrize(
    ("said", "seconds"), [(2, 2.0), (0.5, 0.5), (None, 0.0), (-3, 0.0), ("4", 0.0), (float("inf"), 0.0)]
)
def test_the_time_a_task_was_open_is_a_number_or_nothing(said: object, seconds: float) -> None:
    assert read_task(told(lead_time=said)).annotations[0].lead_time == seconds


@pytest.mark.parametrize("result", [None, [], "text", {"a": 1}])
def test_a_skip_and_an_odd_result_have_no_regions(result: object) -> None:
    assert read_task(told(result=result, was_cancelled=True)).annotations[0].result == []


def test_a_task_of_the_import_event_has_no_annotations_key() -> None:
    task = told()
    del task["annotations"]
    assert read_task(task).annotations == ()


MOMENTS = st.datetimes(min_value=datetime(1970, 1, 2))


@given(MOMENTS, MOMENTS)
def test_text_order_of_moments_is_time_order(one: datetime, other: datetime) -> None:
    """Label Studio leaves out zero microseconds, which would sort 54Z after 54.3Z."""
    records = [read_task({"id": 1, "data": {}, "updated_at": f"{moment.isoformat()}Z"}) for moment in (one, other)]
    assert (records[0].updated_at < records[1].updated_at) == (one < other)


@pytest.mark.parametrize(
    "task",
    [
        {},
        {"id": 1},
        {"id": 1, "data": {}},
        {"id": 1, "data": {}, "updated_at": "soon"},
        told(id="x"),
        told(updated_at=None),
    ],
)
def test_a_task_that_cannot_be_read_is_said_to_be_so(task: dict[str, Any]) -> None:
    with pytest.raises(PayloadError, match="cannot be read"):
        read_task(task)
