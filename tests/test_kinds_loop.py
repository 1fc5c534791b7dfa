"""Every kind of task goes the whole way on a real Label Studio: ordered, annotated as served, learnt, predicted, ordered anew."""

from collections.abc import Callable, Iterator

import pytest

from labelloop.service.projects import Project
from labelloop.service.state import read_state
from labelloop.service.versions import Version
from support.annotating import scores_of
from support.kinds import KINDS, KindJob, make_job
from support.loop_process import LoopProcesses, label_studio_of, live_or_none, running_loop, until
from support.served import assert_predictions_are_valid, learn_along_the_served_order
from support.studio_process import StudioProcess

pytestmark = [pytest.mark.studio, pytest.mark.slow]

TASKS, ANSWERED = 40, 20
Connected = Callable[[str, int], tuple[KindJob, Project]]
ONE_TRAINING = {"LABELLOOP_TRAIN_AFTER": str(ANSWERED), "LABELLOOP_TRAIN_QUIET": "60"}


@pytest.fixture(scope="module")
def loop(studio: StudioProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopProcesses]:
    """One server and one worker for all projects of this module."""
    with running_loop(tmp_path_factory.mktemp("loop"), studio, ONE_TRAINING) as processes:
        yield processes


@pytest.fixture
def connected(loop: LoopProcesses, studio: StudioProcess) -> Iterator[Connected]:
    """Makes a project of a kind and connects it until the test is over."""

    def make(kind: str, count: int) -> tuple[KindJob, Project]:
        job = make_job(label_studio_of(studio), kind, count)
        return job, loop.connect(job.project_id)

    yield make
    loop.disconnect_all()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_project_is_learnt_along_the_served_order(loop: LoopProcesses, connected: Connected, kind: str) -> None:
    job, project = connected(kind, TASKS)
    name = learn_along_the_served_order(loop, job, project, ANSWERED)
    assert_predictions_are_valid(job, name, said=1 / 3)


@pytest.mark.parametrize(("kind", "before", "after"), [("spans", "LOC", "PLACE"), ("set", "travel", "journey")])
def test_a_class_is_renamed_in_the_middle(
    loop: LoopProcesses, connected: Connected, kind: str, before: str, after: str
) -> None:
    (job, project), context = connected(kind, TASKS + 10), loop.context()
    ids = list(job.truth)
    job.answer(ids[:ANSWERED])

    def is_settled() -> bool:
        # Label Studio writes a whole project on each PATCH, so one for the config loses to one for the model version beside it.
        live = live_or_none(context, project)
        return _labels_of(live) == ANSWERED and job.label_studio.project(job.project_id)["model_version"] == live.name

    until(is_settled, 120, loop.logs, every=0.5)
    job.rename({before: after})
    job.answer(ids[ANSWERED : 2 * ANSWERED])

    def learnt() -> str:
        live = live_or_none(context, project)
        if live is None or after not in live.learners[0].classes or _labels_of(live) <= ANSWERED:
            return ""
        return str(live.name) if set(job.unlabelled()) <= scores_of(job, live.name).keys() else ""

    name = until(learnt, 120, lambda: f"{live_or_none(context, project)}\n{loop.logs()}", every=0.5)
    assert any(repr(before) in note for note in read_state(context.store, project.folder).set_aside)
    assert_predictions_are_valid(job, name, said=1 / 3)


def _labels_of(live: Version | None) -> int:
    return live.labels + live.holdout if live else 0
