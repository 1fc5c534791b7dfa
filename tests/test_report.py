"""What `labelloop status` gathers, and what it says when something cannot be asked."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from labelloop.labelstudio import TaskRecord, rules_of
from labelloop.learning import Metrics
from labelloop.records import Kind
from labelloop.service.context import Context
from labelloop.service.marks import Marks
from labelloop.service.push_state import PushState, write_push
from labelloop.service.report import _calibration, report_on
from labelloop.service.report_records import LearnerReport
from labelloop.service.state import BrokenItem, Failure, ProjectState, note_broken, progress_to, write_state
from support.redis_process import RedisProcess
from support.serving import a_context, a_project, publish


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Label Studio of these tests does not answer, and is not asked again."""
    monkeypatch.setattr("labelloop.labelstudio.connection.RETRY_AFTER", ())


@pytest.fixture
def context(tmp_path: Path, redis_server: RedisProcess) -> Iterator[Context]:
    context = a_context(tmp_path, redis_server.url, train_after=8)
    yield context
    context.redis.close()


def test_a_project_nobody_has_looked_at_yet_is_reported(context: Context) -> None:
    report = report_on(context, a_project(context))
    assert (report.live, report.now, report.workers, report.labels, report.ordered) == (None, None, 0, 0, False)


def test_the_state_of_the_last_round_and_the_hints_since_are_told(context: Context) -> None:
    project = a_project(context)
    state = ProjectState(tasks=10, labels=4, pool=6, changes=2, last_refusal="Worse.")
    gone = BrokenItem("gone", "", rules_of(context.settings))
    note_broken(context, project, {(7, "text:text"): gone}, {7: TaskRecord(7, {}, "")})
    write_state(context.store, project.folder, replace(state, unsupported=("'box' is not learnt.",)))
    marks = Marks(context.redis, project.slug)
    marks.note(2)  # as a round does that leaves them to the next
    assert report_on(context, project).changes == 2
    marks.note(2)
    progress_to(context.redis, project.slug)("embed", 3, 9)
    report = report_on(context, project)
    assert (report.tasks, report.labels, report.pool) == (10, 4, 6)
    assert (report.changes, report.percent) == (4, 50)
    assert report.now is not None and (report.now["step"], report.now["done"], report.now["total"]) == ("embed", 3, 9)
    assert (report.last_refusal, report.unsupported) == ("Worse.", ("'box' is not learnt.",))
    assert report.broken[7].reason == "gone"


def test_the_live_version_and_how_far_its_scores_are_written(context: Context) -> None:
    project = a_project(context)
    version = publish(context, project)
    write_state(context.store, project.folder, ProjectState(tasks=10, pool=9, queue=6))
    write_push(context.store, project.folder, PushState(version.name, {1: 0.1, 2: 0.2, 3: 0.3}, {1, 2}, switched=True))
    report = report_on(context, project)
    assert report.live is not None
    assert (report.live.name, report.live.stage) == (version.name, "trained")
    assert (report.scores_written, report.scores_to_write, report.ordered) == (2, 4, True)
    assert [learner.backbone for learner in report.live.learners] == ["plain"]


def test_scores_of_an_earlier_version_do_not_count(context: Context) -> None:
    project = a_project(context)
    write_push(context.store, project.folder, PushState(publish(context, project).name, {1: 0.1}, {1}, switched=True))
    publish(context, project)
    report = report_on(context, project)
    assert (report.scores_written, report.ordered) == (0, False)


def test_what_cannot_be_asked_is_named_and_the_rest_is_told(tmp_path: Path) -> None:
    context = a_context(tmp_path, f"unix://{tmp_path}/none.sock")
    project = a_project(context)
    version = publish(context, project)
    write_state(context.store, project.folder, ProjectState(labels=3, failing={"round": Failure("no room left.", 1)}))
    report = report_on(context, project)
    assert (report.labels, report.workers, report.studio) == (3, None, None)
    assert report.live is not None and report.live.name == version.name
    assert report.errors[0] == "round: no room left."
    assert len([error for error in report.errors if "Redis" in error]) == 1
    assert len(report.errors) == 3  # and Label Studio


def test_a_report_is_json(context: Context) -> None:
    project = a_project(context)
    publish(context, project)
    text = orjson.dumps(report_on(context, project), option=orjson.OPT_NON_STR_KEYS)
    assert orjson.loads(text)["live"]["stage"] == "trained"


@pytest.mark.parametrize(
    ("order", "kind", "told"),
    [
        ("badge", Kind.SET, "auto, as badge needs the class probabilities of a trained model"),
        ("badge", Kind.CLASS, "badge"),
        ("margin", Kind.SET, "margin"),
        ("gone", Kind.SET, "gone"),
    ],
)
def test_the_strategy_that_orders_in_place_of_another_is_told(
    context: Context, order: str, kind: Kind, told: str
) -> None:
    project = a_project(context)
    version = publish(context, project)
    [record] = version.learners
    learners = (replace(record, control=replace(record.control, kind=kind)),)
    context.versions(project).publish(
        replace(version, name="v9-20261124-000000", order=order, learners=learners), {}, {}
    )
    live = report_on(context, project).live
    assert live is not None and live.order == told


@pytest.mark.parametrize("kept", ["temperature", None])
def test_a_calibration_that_is_kept_by_name_alone_is_not_told(kept: str | None) -> None:
    assert _calibration(kept) is None


def test_the_reliability_diagram_is_in_the_report(context: Context) -> None:
    project = a_project(context)
    publish(context, project)
    told = orjson.loads(orjson.dumps(report_on(context, project), option=orjson.OPT_NON_STR_KEYS))
    calibration = told["live"]["learners"][0]["calibration"]
    assert calibration["items"] > 0
    assert sum(bar["count"] for bar in calibration["bins"]) == calibration["items"]


@pytest.mark.parametrize(
    ("kept", "said"),
    [("Spread labels won.", "Spread labels won."), ({"reason": "It won.", "gain": 1}, "It won."), (None, ""), ({}, "")],
)
def test_a_learner_tells_which_candidate_won_in_a_sentence(context: Context, kept: object, said: str) -> None:
    project = a_project(context)
    version = publish(context, project)
    [record] = version.learners
    told = replace(version, name="v9-20261124-000000", learners=(replace(record, meta=record.meta | {"choice": kept}),))
    context.versions(project).publish(told, {}, {})
    report = report_on(context, project)
    assert report.live is not None
    assert report.live.learners[0].choice == said


def metrics(items: int, accuracy: float) -> Metrics:
    return Metrics(items, accuracy, accuracy, 0.1, 0.1, {}, "holdout")


@pytest.mark.parametrize(("trusted", "believed"), [(True, 0.9), (False, 0.8)])
def test_cross_validation_is_believed_until_the_holdout_is_large_enough(trusted: bool, believed: float) -> None:
    learner = LearnerReport("c", ("a", "b"), "plain", "", metrics(5, 0.9), metrics(50, 0.8), trusted)
    assert learner.metrics is not None and learner.metrics.accuracy == believed
