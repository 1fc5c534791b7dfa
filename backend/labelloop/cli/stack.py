"""What `labelloop up` runs, and in which order: Redis, Label Studio, the server, the workers.

Each process is told what it needs through the environment, which is where the settings come from.
"""

import fcntl
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests

from labelloop.cli.child import Child, Program
from labelloop.cli.ports import require_free
from labelloop.cli.private import write_private
from labelloop.cli.studio import Studio
from labelloop.cli.supervisor import Supervisor, wait_until
from labelloop.errors import SettingsError, StartError
from labelloop.service.addresses import local_address
from labelloop.service.redis_server import redis_command
from labelloop.settings import Settings, load_settings, variable_of

REDIS_TIMEOUT = 30.0
SERVER_TIMEOUT = 60.0


def own_studio_wanted() -> bool:
    """Whether no Label Studio was named, so that one of our own is to run.

    Raises:
        SettingsError: one was named without a token for it.
    """
    if not os.environ.get("LABEL_STUDIO_URL"):
        return True
    if not os.environ.get("LABEL_STUDIO_API_KEY"):
        raise SettingsError(
            "LABEL_STUDIO_URL is set and LABEL_STUDIO_API_KEY is not; set it to a personal access token "
            "(Label Studio, Account & Settings), or unset both to run a Label Studio of our own."
        )
    return False


def absolute_places(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings that name folders on this machine, such that they name the same ones to commands run elsewhere."""
    places = {"LABELLOOP_DATA_DIR": Path(environment.get("LABELLOOP_DATA_DIR") or ".run")}
    store = environment.get("LABELLOOP_STORE_URL", "")
    if store and "://" not in store:
        places["LABELLOOP_STORE_URL"] = Path(store).expanduser()
    return {name: str(place.absolute()) for name, place in places.items()}


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the data directory, so that two `labelloop up` never share an embedded Redis or Label Studio.

    Raises:
        StartError: another one holds it, or it cannot be written to.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "up.lock").open("w")
    except OSError as error:
        raise StartError(
            f"`labelloop up` cannot keep its data in {data_dir}: {error.strerror}; set LABELLOOP_DATA_DIR to another folder."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartError(f"`labelloop up` runs already with its data in {data_dir}; stop it first.") from None
        yield


class Stack:
    """The programs of one `labelloop up`, with their data under `settings.data_dir`.

    Args:
        settings: the environment's, as far as they are known before a Label Studio of our own runs.
        supervisor: keeps the programs running.
        say: told what is being done, one line each.

    Attributes:
        server_pid: the server's process id as it was started; 0 before.
    """

    def __init__(self, settings: Settings, supervisor: Supervisor, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._supervisor = supervisor
        self._say = say
        self._logs = settings.data_dir / "logs"
        self.server_pid = 0

    def start_redis(self) -> None:
        """Start the embedded Redis, unless REDIS_URL names one.

        Raises:
            StartError: it does not start.
        """
        if self._settings.redis_url:
            return
        import redis

        location = self._settings.redis_location
        command = redis_command(self._settings.data_dir / "redis", Path(location.removeprefix("unix://")))
        child = self._supervisor.add(Program("redis", command, self._logs / "redis.log"))

        def answers() -> bool:
            try:
                with redis.Redis.from_url(location) as client:
                    return bool(client.ping())
            except redis.exceptions.ConnectionError:  # not yet, or still reading its file
                return False

        wait_until(answers, child, REDIS_TIMEOUT)

    def start_studio(self, port: int) -> Studio:
        """Install and start a Label Studio of our own and name it to all that is started later.

        Raises:
            StartError: it cannot be installed or does not start.
        """
        studio = Studio(self._settings.data_dir / "label-studio", port=port)
        if not studio.installed:
            self._say("Installing Label Studio into an environment of its own (once) …")
            studio.install()
        program = studio.program()
        first = "; the first start makes its database" if not studio.has_data else ""
        self._say(f"Starting Label Studio{first} …")
        studio.wait_ready(self._supervisor.add(program))
        os.environ |= {"LABEL_STUDIO_URL": studio.url, "LABEL_STUDIO_API_KEY": studio.credentials.api_key}
        return studio

    def start_backend(self, workers: int) -> Settings:
        """Start the server and the workers; returns the settings they run with.

        Raises:
            StartError: the server does not start.
        """
        settings = load_settings()
        self._say("Starting the server and " + ("one worker …" if workers == 1 else f"{workers} workers …"))
        server = self._supervisor.add(self._own("server", "serve"), echo=True)
        names = [f"worker-{number}" for number in range(1, workers + 1)]
        started = [self._supervisor.add(self._own(name, "worker"), echo=True) for name in names]
        wait_until(lambda: _answers(local_address(settings)), server, SERVER_TIMEOUT)
        for worker in started:
            _require_alive(worker)
        self.server_pid = server.pid
        write_private(settings.data_dir / "env", _exports())
        return settings

    def check_ports(self) -> None:
        """Raise a StartError when the server's port is taken."""
        purpose = "Labelloop's server"
        require_free(
            self._settings.port, purpose, "stop what listens there or give another with --port", self._settings.host
        )

    def _own(self, name: str, command: str) -> Program:
        return Program(name, [sys.executable, "-m", "labelloop.cli", command], self._logs / f"{name}.log")


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=5).status_code < 500
    except requests.RequestException:
        return False


def _require_alive(child: Child) -> None:
    if not child.alive:
        raise child.failure()


def _exports() -> str:
    """A shell file that gives other commands the settings of this `labelloop up`."""
    variables = map(variable_of, Settings.model_fields)
    given = {name: os.environ[name] for name in variables if name in os.environ}
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in given.items())
