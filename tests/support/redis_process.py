"""A real Redis that a test can flush, stop, kill and start again."""

import time
from pathlib import Path

import redis

from labelloop.cli.child import Child, Program
from labelloop.service.redis_server import redis_command


class RedisProcess:
    """The embedded Redis on a folder of the test's."""

    def __init__(self, folder: Path) -> None:
        socket = folder / "redis.sock"
        self.url = f"unix://{socket}"
        self._child = Child(Program("redis", redis_command(folder, socket), folder / "redis.log"))

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child.alive

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        self._child.start()
        deadline = time.monotonic() + 10
        while not self._answers():
            if not self.alive or time.monotonic() > deadline:
                raise self._child.failure()
            time.sleep(0.02)

    def stop(self) -> None:
        self._child.stop()

    def kill(self) -> None:
        self._child.kill()

    def flush(self) -> None:
        with self.client() as client:
            client.flushall()

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.exceptions.ConnectionError:
            return False
