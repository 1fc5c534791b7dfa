"""Real data of each kind goes the whole way on a real Label Studio, with real weights; what is not on this machine is skipped."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks import kinds, task_data
from benchmarks.label_data import DATA, Missing
from support.kinds import Item, Made, make_job_of
from support.loop_process import LoopProcesses, label_studio_of, running_loop
from support.served import assert_predictions_are_valid, learn_along_the_served_order
from support.studio_process import StudioProcess

WEIGHTS = DATA / "weights" / "mobilenet_v2.safetensors"
pytestmark = [
    pytest.mark.studio,
    pytest.mark.slow,
    pytest.mark.skipif(not WEIGHTS.is_file(), reason="needs the shared sample data"),
]

TASKS, ANSWERED = 60, 30
PARTS = "items", "targets", "test_items", "test_targets"
SETTINGS = {
    "LABELLOOP_TRAIN_AFTER": str(ANSWERED),
    "LABELLOOP_TRAIN_QUIET": "60",
    "LABELLOOP_TEXT_BACKBONE": "all-MiniLM-L6-v2",
    "LABELLOOP_IMAGE_BACKBONE": "mobilenet_v2",
    "LABELLOOP_IMAGE_WEIGHTS": str(WEIGHTS.resolve()),
    "LABELLOOP_OFFLINE": "true",
}


@pytest.fixture(scope="module")
def loop(studio: StudioProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopProcesses]:
    """One server and one worker for all projects of this module."""
    with running_loop(tmp_path_factory.mktemp("loop"), studio, SETTINGS) as processes:
        yield processes


# Thirty tweets teach next to nothing of six types of names, and of thirty sentences none is near another: there it is only looked
# at whether what is said is valid.
@pytest.mark.parametrize(
    ("data", "said"), [("bccd", 0.9), ("nuclei", 0.9), ("ncbi", 0.1), ("wnut17", 0.0), ("tatoeba", 0.0)]
)
def test_real_data_is_learnt_along_the_served_order(
    loop: LoopProcesses, studio: StudioProcess, data: str, said: float
) -> None:
    job = make_job_of(label_studio_of(studio), _made(data), data, TASKS)
    name = learn_along_the_served_order(loop, job, loop.connect(job.project_id), ANSWERED)
    assert_predictions_are_valid(job, name, said)
    loop.disconnect_all()


def _made(data: str) -> Made:
    try:
        task = task_data.TASKS[data]()
    except Missing as missing:
        pytest.skip(str(missing))
    shown, config, found = kinds.project_of(replace(task, **{name: getattr(task, name)[:TASKS] for name in PARTS}))

    def item(number: int) -> Item:
        value, said = found[number]
        return {shown: value}, said

    return Made(config, "answer", item)
