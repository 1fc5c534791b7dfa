"""The real things that tests run against: a Redis, a Label Studio, a store."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from labelloop.service.context import Context
from labelloop.service.projects import Project
from support.redis_process import RedisProcess
from support.serving import a_context, a_project
from support.studio_process import StudioProcess, copy_started_studio

# How long an example takes says more of what else the machine does.
settings.register_profile("unhurried", settings.default, deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    """A Label Studio with nothing in it but its user; tests make projects of their own and leave it running."""
    home = tmp_path_factory.mktemp("studio") / "home"
    copy_started_studio(home)
    process = StudioProcess(home)
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def _redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path_factory.mktemp("redis"))
    process.start()
    yield process
    process.stop()


@pytest.fixture
def redis_server(_redis_process: RedisProcess) -> RedisProcess:
    """A running, empty Redis."""
    if not _redis_process.alive:
        _redis_process.start()
    _redis_process.flush()
    return _redis_process


@pytest.fixture
def context(tmp_path: Path, redis_server: RedisProcess) -> Iterator[Context]:
    """The doors of a Labelloop whose Label Studio does not answer."""
    context = a_context(tmp_path, redis_server.url)
    yield context
    context.redis.close()


@pytest.fixture
def project(context: Context) -> Project:
    """A project that the store knows of."""
    return a_project(context)
