"""The fine-tuning job on a real worker and a real Redis: a round goes first, and the fine-tuning ends all the same."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labelloop.cli.child import Child, Program
from labelloop.service.context import Context
from labelloop.service.marks import Marks
from labelloop.service.queueing import ROUNDS, enqueue_tuning, job_state, queue_of
from labelloop.service.tuning_state import read_tuning
from support.loop_process import BACKEND, until
from support.redis_process import RedisProcess

pytest.importorskip("torch")
pytest.importorskip("torchvision")

from support.tuning_bench import made_weights
from support.tuning_project import TuningProject, settings_for

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(tmp_path: Path, redis_server: RedisProcess) -> Iterator[TuningProject]:
    settings = settings_for(tmp_path, made_weights(tmp_path / "made"), redis_server.url, fine_tune_minutes=1)
    context = Context(settings)
    project = TuningProject(context)
    project.label(80)
    project.publish()
    yield project
    context.redis.close()


@pytest.fixture
def worker(bench: TuningProject, tmp_path: Path) -> Iterator[Child]:
    settings = bench.context.settings
    names = ("image_weights", "device", "offline", "fine_tune", "fine_tune_from", "fine_tune_minutes", "holdout_min")
    environment = {
        **os.environ,
        **{f"LABELLOOP_{name.upper()}": str(getattr(settings, name)) for name in names},
        "LABEL_STUDIO_URL": settings.label_studio_url,
        "LABEL_STUDIO_API_KEY": settings.label_studio_api_key.get_secret_value(),
        "LABELLOOP_DATA_DIR": str(tmp_path),
        "REDIS_URL": settings.redis_url,
        "PYTHONPATH": str(BACKEND),
    }
    child = Child(Program("worker", [sys.executable, "-m", "labelloop.cli", "worker"], tmp_path / "w.log", environment))
    yield child
    child.stop(grace=2)


def test_a_round_goes_first_and_the_fine_tuning_comes_to_an_end(bench: TuningProject, worker: Child) -> None:
    redis, store, folder, slug = (
        bench.context.redis,
        bench.context.store,
        bench.project.folder,
        bench.project.slug,
    )
    checkpoint = f"{folder}/tuning-checkpoint.safetensors"
    enqueue_tuning(redis, slug, bench.context.settings)
    worker.start()
    until(lambda: read_tuning(store, folder).attempt, 60, lambda: f"it begins\n{worker.output()}", every=0.02)
    queue_of(redis, ROUNDS).enqueue("time.sleep", args=[1], job_id="urgent", result_ttl=0)
    until(lambda: job_state(redis, "urgent") == "started", 60, lambda: f"the round runs\n{worker.output()}", every=0.02)

    assert read_tuning(store, folder).attempt is not None, "it has given way, not ended"
    assert Marks(redis, slug).tuning_wanted()
    assert store.read(checkpoint) is not None
    until(lambda: job_state(redis, f"tuning-{slug}") is None, 30, "its job is over")
    assert enqueue_tuning(redis, slug, bench.context.settings)
    until(
        lambda: read_tuning(store, folder).attempt is None, 180, lambda: f"it ends\n{worker.output()}\n{_told(bench)}"
    )
    outcome = read_tuning(store, folder).outcome
    assert outcome.startswith(("Published", "Refused")), outcome
    assert store.read(checkpoint) is None


def _told(bench: TuningProject) -> str:
    return read_tuning(bench.context.store, bench.project.folder).outcome
