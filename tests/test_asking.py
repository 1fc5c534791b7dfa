"""Asking a worker for something, and knowing when it is done."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from rq import Worker
from rq.job import JobStatus
from rq.serializers import JSONSerializer

from labelloop.errors import LabelloopError, VersionError
from labelloop.service.asking import ask_push, ask_training, push_standing, require_worker, training_standing
from labelloop.service.context import Context
from labelloop.service.marks import Marks
from labelloop.service.projects import Project
from labelloop.service.queueing import PUSHES, QUEUES, ROUNDS, queue_of
from labelloop.service.state import ProjectState, failed, progress_to, write_state
from labelloop.service.workers import listening_workers
from support.serving import publish


@pytest.fixture
def worker(context: Context) -> Iterator[Worker]:
    """A worker that has reported for duty."""
    queues = [queue_of(context.redis, name) for name in QUEUES]
    worker = Worker(queues, connection=context.redis, serializer=JSONSerializer)
    worker.register_birth()
    yield worker
    worker.register_death()


def begin(context: Context, queue: str) -> None:
    """What a worker does first with the job that waits."""
    [job] = queue_of(context.redis, queue).jobs
    queue_of(context.redis, queue).empty()
    job.set_status(JobStatus.STARTED)
    job.save()


def end(context: Context, project: Project, queue: str) -> None:
    """What is left of a job that has ended well: nothing."""
    queue_of(context.redis, queue).empty()
    context.redis.delete(f"rq:job:{queue.split('-')[1][:-1]}-{project.slug}", f"rq:job:push-{project.slug}")


def test_a_training_is_waited_for_begun_and_done(context: Context, project: Project) -> None:
    ask_training(context, project)
    assert training_standing(context, project).waiting
    begin(context, ROUNDS)
    progress_to(context.redis, project.slug)("embed", 2, 4)
    standing = training_standing(context, project)
    assert (standing.ended, standing.waiting) == (False, False)
    assert standing.progress is not None and standing.progress["step"] == "embed"
    marks = Marks(context.redis, project.slug)
    marks.take()
    marks.settle()
    end(context, project, ROUNDS)
    assert training_standing(context, project).ended


def test_a_training_whose_round_was_killed_is_waited_for(context: Context, project: Project) -> None:
    ask_training(context, project)
    Marks(context.redis, project.slug).take()
    end(context, project, ROUNDS)
    assert not training_standing(context, project).ended
    assert queue_of(context.redis, ROUNDS).job_ids == [f"round-{project.slug}"]


def test_a_training_that_only_an_earlier_round_preceded_is_asked_for_again(context: Context, project: Project) -> None:
    ask_training(context, project)
    end(context, project, ROUNDS)
    standing = training_standing(context, project)
    assert (standing.ended, standing.waiting) == (False, True)
    assert queue_of(context.redis, ROUNDS).job_ids == [f"round-{project.slug}"]


def test_a_training_that_failed_says_why(context: Context, project: Project) -> None:
    ask_training(context, project)
    end(context, project, ROUNDS)
    write_state(context.store, project.folder, failed(ProjectState(), "round", "no room."))
    standing = training_standing(context, project)
    assert (standing.ended, standing.error) == (True, "round: no room.")


def test_a_push_goes_on_until_nothing_is_left_of_it(context: Context, project: Project) -> None:
    with pytest.raises(VersionError):
        ask_push(context, project)
    version = publish(context, project)
    assert ask_push(context, project).name == version.name
    assert push_standing(context, project).waiting
    end(context, project, PUSHES)
    Marks(context.redis, project.slug).want_push()  # it made way for a round
    assert not push_standing(context, project).ended
    Marks(context.redis, project.slug).clear_push()
    assert push_standing(context, project).ended


def test_only_an_error_of_the_push_is_one(context: Context, project: Project) -> None:
    write_state(context.store, project.folder, failed(ProjectState(), "round", "no room."))
    assert push_standing(context, project).error == ""
    write_state(context.store, project.folder, failed(ProjectState(), "push", "refused."))
    assert push_standing(context, project).error == "push: refused."


def test_work_that_nobody_would_do_is_told(context: Context) -> None:
    with pytest.raises(LabelloopError, match="no worker listens"):
        require_worker(context)


def test_a_worker_that_listens_counts(context: Context, worker: Worker) -> None:
    require_worker(context)
    assert [one.name for one in listening_workers(context.redis)] == [worker.name]


def test_a_worker_that_was_killed_does_not_count(context: Context, worker: Worker) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    context.redis.hset(worker.key, "pid", gone.pid)
    assert listening_workers(context.redis) == []
