"""The model class, called as each release of label-studio-ml calls it."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labelloop import hooks
from labelloop.hooks import LabelLoop
from labelloop.service.endpoint import Endpoint
from support.redis_process import RedisProcess
from support.serving import CONFIG, KEY, a_context, a_project, publish, tasks

EVENT: dict[str, Any] = {
    "annotation": {"id": 1},
    "project": {"id": 4, "created_at": "2026-11-23T22:18:53.971329Z", "label_config": CONFIG},
}


@pytest.fixture
def model(tmp_path: Path, redis_server: RedisProcess) -> Iterator[type[LabelLoop]]:
    """LabelLoop with an endpoint of a project that has a trained version."""
    context = a_context(tmp_path, redis_server.url)
    publish(context, a_project(context))
    endpoint = Endpoint(context)
    endpoint.start()
    yield LabelLoop.bound_to(endpoint)
    endpoint.stop()


def test_it_is_a_model_of_label_studio_ml(model: type[LabelLoop]) -> None:
    from label_studio_ml.model import LabelStudioMLBase, LabelStudioMLManager

    assert issubclass(LabelLoop, LabelStudioMLBase)
    LabelStudioMLManager.initialize(model)


def test_release_1_constructs_it_with_its_own_keywords(model: type[LabelLoop]) -> None:
    made = model(label_config=CONFIG, train_output={}, hostname="http://x", access_token="t", model_version=None)
    assert made.predict(tasks(["apple"]), login=None, password=None, context=None) == [
        []
    ]  # it is never told the project


def test_release_2_constructs_it_with_project_and_config(model: type[LabelLoop]) -> None:
    made = model(KEY, CONFIG)
    assert made.setup()["model_version"] == made.model_version != "untrained"
    (answer,) = made.predict(tasks(["ripe apple"]), context=None)
    assert answer["model_version"] == made.model_version


def test_release_1_tells_an_event_by_keywords(model: type[LabelLoop]) -> None:
    answer = model().fit((), event="ANNOTATION_CREATED", data=EVENT, job_id="1795471905", workdir="x")
    assert answer["status"] == "noted"


def test_release_2_tells_an_event_by_place(model: type[LabelLoop]) -> None:
    assert model(KEY, CONFIG).fit("ANNOTATION_CREATED", EVENT)["status"] == "noted"


@pytest.mark.parametrize("data", [None, [], "text"])
def test_odd_event_data_is_ignored(model: type[LabelLoop], data: object) -> None:
    assert model().fit("ANNOTATION_CREATED", data)["status"] == "ignored"


@pytest.mark.parametrize("config", ["<View>", "", None])
def test_a_broken_config_fails_nothing(model: type[LabelLoop], config: str | None) -> None:
    made = model("7.1795472333", config)
    assert made.setup() == {"model_version": "untrained"}
    assert made.predict(tasks(["apple"])) == [[]]


def test_two_bound_classes_do_not_share_an_endpoint(model: type[LabelLoop], tmp_path: Path) -> None:
    other = LabelLoop.bound_to(Endpoint(a_context(tmp_path / "other", "redis://127.0.0.1:1")))
    assert other(KEY).model_version == "untrained"
    assert model(KEY).model_version != "untrained"


def test_made_by_somebody_else_it_finds_its_endpoint_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = a_context(tmp_path, "redis://127.0.0.1:1")
    monkeypatch.setattr(hooks, "open_context", lambda: context)
    hooks.process_endpoint.cache_clear()
    before = set(threading.enumerate())
    made = [LabelLoop(KEY, CONFIG) for _ in range(2)]
    assert [model.setup() for model in made] == [{"model_version": "untrained"}] * 2
    running = {thread for thread in threading.enumerate() if thread.name == "labelloop-live"} - before
    assert len(running) == 1
    hooks.process_endpoint().stop()
    hooks.process_endpoint.cache_clear()
    assert not any(thread.is_alive() for thread in running)


def test_importing_it_brings_no_torch_and_hides_none() -> None:
    script = (
        "import sys, importlib.util\n"
        "import labelloop.hooks\n"
        "assert not {'torch', 'sklearn', 'scipy', 'pandas', 'transformers'} & set(sys.modules), sorted(sys.modules)\n"
        "assert importlib.util.find_spec('torch') is None or __import__('torch').__name__ == 'torch'\n"
    )
    backend = Path(hooks.__file__).parents[1]
    subprocess.run([sys.executable, "-c", script], cwd=backend, check=True, timeout=120)
