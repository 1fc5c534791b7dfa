"""The real things that tests run against: a Redis, a Label Studio."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.redis_process import RedisProcess
from support.studio_process import StudioProcess

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    """A Label Studio with nothing in it but its user; tests make projects of their own and leave it running."""
    process = StudioProcess(tmp_path_factory.mktemp("studio"), venv=REPOSITORY / ".run" / "label-studio" / "venv")
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
