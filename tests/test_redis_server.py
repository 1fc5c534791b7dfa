"""The embedded Redis keeps what it was given, and tells plainly why it cannot start."""

from pathlib import Path

import pytest

from labelloop.errors import StartError
from labelloop.service.redis_server import redis_command
from support.redis_process import RedisProcess


def test_a_killed_redis_comes_back_with_its_data(redis_server: RedisProcess) -> None:
    redis_server.client().rpush("queue", "a", "b")
    redis_server.client().execute_command("CONFIG", "SET", "appendfsync", "always")
    redis_server.client().rpush("queue", "c")
    redis_server.kill()
    redis_server.start()
    assert redis_server.client().lrange("queue", 0, -1) == [b"a", b"b", b"c"]


def test_each_test_gets_an_empty_redis(redis_server: RedisProcess) -> None:
    assert redis_server.client().dbsize() == 0


def test_only_this_user_can_open_the_socket(redis_server: RedisProcess) -> None:
    assert Path(redis_server.url.removeprefix("unix://")).stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match=r"cannot keep its data in .*file"):
        redis_command(tmp_path / "file" / "redis", tmp_path / "redis.sock")


def test_too_long_a_socket_path_says_how_to_mend_it(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="LABELLOOP_DATA_DIR"):
        redis_command(tmp_path, tmp_path / ("long" * 40) / "redis.sock")
