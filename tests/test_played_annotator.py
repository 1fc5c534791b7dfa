"""The played annotator's judgement: what counts as a closed loop, and what does not."""

from dataclasses import replace
from typing import Any

import pytest

from labelloop.cli.auto_queue import Board, Queue
from labelloop.cli.auto_report import Arrival, Report

TRUTH = {task: str(task % 2) for task in range(10)}


def board(right: int) -> Board:
    """A version that is right on the tasks below `right`."""
    wrong = {"0": "1", "1": "0"}
    labels = {task: label if task < right else wrong[label] for task, label in TRUTH.items()}
    return Board({task: task / 10 for task in TRUTH}, labels)


@pytest.fixture
def report() -> Report:
    versions = [Arrival(f"v{number}", True, number * 10, 1.0) for number in range(1, 4)]
    return Report(TRUTH, arrivals=[Arrival("v0", False, 0, None), *versions], right=10)


@pytest.fixture
def boards() -> dict[str, Board]:
    return {"v1": board(4), "v2": board(3), "v3": board(8)}


def test_a_loop_that_closed_has_no_failures(report: Report, boards: dict[str, Board]) -> None:
    assert report.failures(boards) == []


def test_a_cold_version_is_not_a_trained_one(report: Report, boards: dict[str, Board]) -> None:
    report.arrivals[1] = replace(report.arrivals[1], trained=False)
    assert any("2 trained versions" in failure for failure in report.failures(boards))


def test_one_task_served_out_of_order_fails_the_run(report: Report, boards: dict[str, Board]) -> None:
    report.served(False)
    assert report.failures(boards) == ["1 of 11 tasks were not the lowest of the live scores when they were served."]


def test_an_order_that_could_not_be_watched_fails_the_run(report: Report, boards: dict[str, Board]) -> None:
    for _ in range(10):
        report.served(None)
    assert report.failures(boards) == ["The order was seen to be right for 10 of 20 served tasks only."]


def test_accuracy_counts_only_tasks_that_nobody_labelled_in_the_end(report: Report, boards: dict[str, Board]) -> None:
    report.labelled = [0, 1, 2, 3]
    assert report.accuracies(boards) == [0.0, 0.0, pytest.approx(4 / 6)]


@pytest.mark.parametrize("last", [4, 2])
def test_accuracy_that_did_not_rise_fails_the_run(report: Report, boards: dict[str, Board], last: int) -> None:
    failures = report.failures(boards | {"v3": board(last)})
    assert failures == [f"Accuracy on tasks nobody labelled did not rise: 40.0% to {last * 10:.1f}%."]


def test_a_version_that_was_never_fully_pushed_is_not_measured(report: Report, boards: dict[str, Board]) -> None:
    boards["v3"] = Board({0: 0.1}, {0: "0"})
    assert report.accuracies(boards) == [0.4, 0.3]


def test_the_curve_counts_what_people_labelled_as_right(report: Report, boards: dict[str, Board]) -> None:
    report.labelled = [9, 8, 7]
    report.arrivals = [Arrival("v1", True, 2, 1.0), Arrival("v3", True, 3, 1.0)]
    assert report.curve(boards) == [(2, pytest.approx(6 / 10)), (3, pytest.approx(10 / 10))]


class LabelStudioStub:
    """Serves one task, and switches to another version when told to."""

    def __init__(self, served: int, scores: dict[str, dict[int, float]], versions: list[str]) -> None:
        self._served = served
        self._scores = scores
        self._versions = versions

    def project(self, project_id: int) -> dict[str, Any]:
        return {"model_version": self._versions.pop(0) if len(self._versions) > 1 else self._versions[0]}

    def next_task(self, project_id: int) -> dict[str, Any]:
        return {"id": self._served}

    def get(self, path: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {"task": task, "score": score, "model_version": version, "result": []}
            for version, scores in self._scores.items()
            for task, score in scores.items()
        ]


@pytest.mark.parametrize(
    ("served", "versions", "verdict"),
    [
        (1, ["v1"], True),
        (2, ["v1"], False),
        (3, ["v1"], False),  # it has no score, which a queue by score never serves while others have one
        (2, ["v1", "v2"], None),
        (1, [""], False),
    ],
)
def test_a_served_task_is_compared_with_the_live_scores(served: int, versions: list[str], verdict: bool | None) -> None:
    scores = {"v1": {1: 0.2, 2: 0.4, 4: 0.1}, "v2": {2: 0.3, 1: 0.5}}
    queue = Queue(LabelStudioStub(served, scores, versions), project_id=1)  # type: ignore[arg-type]
    assert queue.serve({1, 2, 3}) == (served, verdict)  # task 4, lower still, is labelled already
