"""A project goes the whole way on a real Label Studio: ordered, annotated as served, learnt, predicted, ordered anew."""

from label_studio_sdk.label_interface import LabelInterface

from labelloop.service.projects import Project
from support.annotating import assert_served_by_score, scores_of
from support.kinds import KindJob
from support.loop_process import LoopProcesses, live_or_none, until


def learn_along_the_served_order(loop: LoopProcesses, job: KindJob, project: Project, answered: int) -> str:
    """Wait for the first order, answer so many tasks as they are served, and wait for the version that they teach.

    Returns:
        The version's name, when every task that waits has its prediction and is served by it.
    """
    context = loop.context()

    def ordered_by(stage: str, labels: int) -> str:
        live = live_or_none(context, project)
        if live is None or live.stage != stage:
            return ""
        # A control that is hidden in a task has no label there.
        if not labels <= live.labels + live.holdout <= labels * len(live.learners):
            return ""
        record = job.label_studio.project(job.project_id)
        if record["model_version"] != live.name:
            return ""
        return str(live.name) if set(job.unlabelled()) <= scores_of(job, live.name).keys() else ""

    def story() -> str:
        return f"{live_or_none(context, project)}\n{loop.logs()}"

    assert_served_by_score(job, until(lambda: ordered_by("cold", 0), 90, story, every=0.5))
    job.answer_served(answered)
    name = until(lambda: ordered_by("trained", answered), 120, story, every=0.5)
    assert_served_by_score(job, name)
    return name


def assert_predictions_are_valid(job: KindJob, version: str, said: float) -> None:
    """Label Studio's own check passes each prediction of what waits, and at least a share of them says something."""
    interface, waiting = LabelInterface(job.config), set(job.unlabelled())
    found = [prediction for prediction in job.predictions(version) if prediction["task"] in waiting]
    assert len(found) == len(waiting)
    for prediction in found:
        assert 0 <= prediction["score"] <= 1
        assert interface.validate_prediction(prediction, return_errors=True) == []
    spoken = [prediction for prediction in found if any(r["from_name"] == job.control for r in prediction["result"])]
    assert len(spoken) >= said * len(found), "hardly anything is predicted"
