"""A model that answers by itself pre-annotates on a real Label Studio before anybody has answered anything."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from label_studio_sdk.label_interface import LabelInterface

pytest.importorskip("transformers")

from support.annotating import assert_served_by_score
from support.kinds import make_job
from support.loop_process import LoopProcesses, label_studio_of, live_or_none, running_loop, until
from support.studio_process import StudioProcess
from support.writers import made_writer

pytestmark = [pytest.mark.studio, pytest.mark.slow]

TASKS = 12


@pytest.fixture
def loop(studio: StudioProcess, tmp_path: Path) -> Iterator[LoopProcesses]:
    writer = made_writer(tmp_path / "made-t5")
    settings = {"LABELLOOP_TEXT_WRITER": str(writer), "LABELLOOP_SHOW_THRESHOLD": "0"}
    with running_loop(tmp_path, studio, settings) as processes:
        yield processes


def test_what_a_model_writes_is_shown_from_the_first_minute(loop: LoopProcesses, studio: StudioProcess) -> None:
    job = make_job(label_studio_of(studio), "translation", TASKS)
    project, context = loop.connect(job.project_id), loop.context()

    def predicted() -> str:
        live = live_or_none(context, project)
        return live.name if live and len(job.predictions(live.name)) == TASKS else ""

    name = until(predicted, 90, lambda: f"{live_or_none(context, project)}\n{loop.logs()}", every=0.5)
    live = live_or_none(context, project)
    assert live is not None
    assert (live.stage, live.labels) == ("cold", 0)
    assert "pre-annotated by made-t5 as it is" in live.reason
    found, interface = job.predictions(name), LabelInterface(job.made.config)
    assert all(interface.validate_prediction(one, return_errors=True) == [] for one in found)
    assert any(one["result"] for one in found)
    assert_served_by_score(job, name)
