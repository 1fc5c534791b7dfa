"""The lines of `labelloop status` that tell how good a version is."""

from dataclasses import replace

import pytest

from labelloop.cli.status import _agreement, _figures, _pool, _queue, _trouble_rows, _version_rows
from labelloop.learning import Metrics
from labelloop.learning.calibrating import Reliability
from labelloop.learning.intervals import Interval, wilson
from labelloop.learning.pool_accuracy import PoolAccuracy
from labelloop.learning.stopping import Agreement, StoppingAdvice, Verdict
from labelloop.service.report_records import LearnerReport, Report, VersionReport
from labelloop.service.state import BrokenItem

HOLDOUT = Metrics(50, 0.9, 0.88, 0.3, 0.05, {}, "holdout", wilson(45, 50), Interval(0.75, 0.95))


def a_report(learner: LearnerReport) -> Report:
    live = VersionReport("v3", "trained", "now", "margin", 450, 50, "Better.", (learner,))
    return Report(
        project=4, title="A project", tasks=900, labels=500, pool=400, annotations=510, hours=2.5,
        stopping=StoppingAdvice(Verdict.KEEP_GOING, "Not yet."), stopped="", live=live, scores_written=0,
        scores_to_write=0, ordered=True, now=None, workers=1, changes=0, percent=0, waiting_for="", last_round_at="",
        last_training_at="", last_training="", last_refusal="", unsupported=(), set_aside=(), findings=(), broken={}, studio=None,
    )  # fmt: skip


def test_figures_are_told_with_their_intervals() -> None:
    assert "accuracy [bold]90.0%[/] (78.6% to 95.7%), macro F1 0.880 (0.750 to 0.950)" in _figures(HOLDOUT)


def test_figures_of_an_earlier_release_are_told_without() -> None:
    old = Metrics(50, 0.9, 0.88, 0.3, 0.05, {}, "holdout")
    assert _figures(old).startswith("accuracy [bold]90.0%[/], macro F1 0.880, log loss")


def test_labels_that_a_figure_leaves_out_are_told() -> None:
    assert "7 more have no other of their class to learn from" in _figures(replace(HOLDOUT, untested=7))
    assert _figures(HOLDOUT).endswith("(holdout)")


def test_agreement_and_accuracy_on_the_pool_are_counts_with_their_intervals() -> None:
    assert "87 of the last 100 labels before they came: 87.0%" in _agreement(Agreement(87, 100, wilson(87, 100)))
    assert "about 95.0% (90.0% to 98.0%)" in _pool(PoolAccuracy(0.95, Interval(0.9, 0.98), 50, 20.0))


@pytest.mark.parametrize("choice", ["", "Label spreading won: 91.0% against 88.5% [logistic]."])
def test_a_learner_tells_which_candidate_won_when_it_knows(choice: str) -> None:
    learner = LearnerReport("c", ("a", "b"), "plain", "", HOLDOUT, None, True, choice=choice)
    told = dict(_version_rows(a_report(learner)))["control c"]
    assert ("Label spreading won" in told) is bool(choice)
    assert "predicted" not in told


@pytest.mark.parametrize(
    ("calibration", "told"),
    [
        (
            Reliability("vector", 120, 0.0812, 0.0321),
            "calibrated (vector): ECE 0.081 before, 0.032 after, on 120 labels",
        ),
        (Reliability("usual"), "not calibrated, for want of labels"),
        (None, ""),
    ],
)
def test_what_calibrating_does_is_told_where_it_is_known(calibration: Reliability | None, told: str) -> None:
    learner = LearnerReport("c", ("a", "b"), "plain", "", HOLDOUT, None, True, calibration=calibration)
    lines = dict(_version_rows(a_report(learner)))["control c"]
    assert told in lines
    assert ("calibrated" in lines) is bool(told)


def test_a_queue_that_is_empty_is_not_said_to_wait_for_its_order() -> None:
    report = replace(a_report(LearnerReport("c", ("a", "b"), "plain", "", HOLDOUT, None, True)), ordered=False)
    assert report.live is not None
    assert _queue(report, report.live) == "no task waits for a label, so there is nothing to order"
    waiting = replace(report, scores_to_write=7)
    assert _queue(waiting, report.live) == "not ordered by this version yet; 0 scores written, 7 to come"


@pytest.mark.parametrize(
    ("classes", "told"), [((), "backbone plain"), (("a",), "1 class, backbone"), (("a", "b"), "2 classes, backbone")]
)
def test_classes_are_counted_where_there_are_some(classes: tuple[str, ...], told: str) -> None:
    learner = LearnerReport("c", classes, "plain", "", HOLDOUT, None, True)
    assert dict(_version_rows(a_report(learner)))["control c"].splitlines()[-1].startswith(told)


def test_lines_of_one_name_are_one_row() -> None:
    report = replace(
        a_report(LearnerReport("labels", ("a", "b"), "plain", "", HOLDOUT, None, True)),
        findings=("2 copies.", "1 rare class."), errors=["round: away.", "push: away."],
        broken={3: BrokenItem("gone", ""), 5: BrokenItem("gone", "")},
    )  # fmt: skip

    assert dict(_trouble_rows(report)) == {
        "findings": "2 copies.\n1 rare class.",
        "broken tasks": "2, such as 3: gone",
        "[red]error[/]": "round: away.\npush: away.",
    }
    assert len(_trouble_rows(report)) == 3
    assert "control labels" in dict(_version_rows(report))


def test_broken_tasks_are_told_by_reason_the_most_frequent_first() -> None:
    learner = LearnerReport("c", ("a", "b"), "plain", "", HOLDOUT, None, True)
    reasons = ["cut short", *["not allowed"] * 5, *["too large"] * 2, "no image"]
    broken = {number: BrokenItem(reason, "2026") for number, reason in enumerate(reasons)}
    assert dict(_trouble_rows(replace(a_report(learner), broken=broken)))["broken tasks"].splitlines() == [
        "5, such as 1: not allowed",
        "2, such as 6: too large",
        "0: cut short",
        "and 1 more tasks set aside",
    ]
