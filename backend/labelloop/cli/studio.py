"""A Label Studio of our own: its own environment, SQLite, bound to loopback, allowed to reach a backend on loopback."""

import os
from pathlib import Path

import requests

from labelloop.cli.child import Child, Program
from labelloop.cli.ports import require_free
from labelloop.cli.studio_access import Credentials, signed_in
from labelloop.cli.studio_install import ensure_installed, is_installed
from labelloop.cli.supervisor import wait_until

HOST = "127.0.0.1"
START_TIMEOUT = 240.0

# A stock Label Studio refuses backends and webhooks at private addresses, reports errors and use, and asks for updates.
_SETTINGS = {
    "LABEL_STUDIO_SSRF_PROTECTION_ENABLED": "false",
    "LABEL_STUDIO_USE_DEFAULT_BANNED_SUBNETS": "false",
    "LABEL_STUDIO_ML_BLOCK_LOCAL_IP": "false",
    "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
    "LABEL_STUDIO_SENTRY_DSN": "",
    "LABEL_STUDIO_FRONTEND_SENTRY_DSN": "",
    "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
    "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
    "LABEL_STUDIO_DJANGO_DB": "sqlite",
    "PYTHONUNBUFFERED": "1",
}
_NOT_PASSED_ON = ("LABEL_STUDIO_", "HEARTEX_", "LABELLOOP_", "PYTHON", "VIRTUAL_ENV", "DJANGO_")


class Studio:
    """A Label Studio whose data, log and credentials live under `home`.

    Args:
        home: its directory; a second start with the same one finds all that the first made.
        port: the loopback port it listens on.
        venv: the environment it is installed in; by default under `home`.
    """

    def __init__(self, home: Path, *, port: int, venv: Path | None = None) -> None:
        self.home = home.absolute()
        self.port = port
        self.venv = (venv or home / "venv").absolute()
        self.url = f"http://{HOST}:{port}"
        self._credentials_file = self.home / "credentials.json"
        self.credentials = Credentials.kept_in(self._credentials_file)

    @property
    def installed(self) -> bool:
        """Whether `install` has nothing to do."""
        return is_installed(self.venv)

    @property
    def has_data(self) -> bool:
        """Whether it was started before."""
        return (self.home / "data").exists()

    def install(self) -> None:
        """Install Label Studio unless it is there.

        Raises:
            StartError: it could not be installed.
        """
        ensure_installed(self.venv)

    def program(self) -> Program:
        """How to run it.

        Raises:
            StartError: the port is taken; Label Studio would silently choose another.
        """
        require_free(self.port, "Label Studio", "stop what listens there or give another with --studio-port")
        # Through the interpreter: the script's first line holds the place where it was installed, which may have moved.
        program = [str(self.venv / "bin" / name) for name in ("python", "label-studio")]
        command = [*program, "start", "--no-browser", "--internal-host", HOST, "--port", str(self.port)]
        return Program("label-studio", command, self.home / "label-studio.log", self.environment())

    def environment(self) -> dict[str, str]:
        """Its environment: this process's, less what would change its ways, and its own settings."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)}
        secret_key = self.credentials.secret_key
        return (
            inherited
            | _SETTINGS
            | {
                "LABEL_STUDIO_BASE_DATA_DIR": str(self.home / "data"),
                "LABEL_STUDIO_DATABASE_NAME": str(self.home / "data" / "label_studio.sqlite3"),
                "LABEL_STUDIO_HOST": self.url,
                "LABEL_STUDIO_USERNAME": self.credentials.username,
                "LABEL_STUDIO_PASSWORD": self.credentials.password,
            }
            | ({"SECRET_KEY": secret_key} if secret_key else {})
        )

    def wait_ready(self, child: Child) -> None:
        """Wait until it answers and its user has an access token; the first start makes a database and takes longest.

        Raises:
            StartError: it ended, or did not answer within `START_TIMEOUT` seconds; the message carries the end of its log.
        """
        wait_until(self._answers, child, START_TIMEOUT)
        self.credentials = self.credentials.with_token(self.url, self._credentials_file)

    def browser(self) -> requests.Session:
        """A session that is logged in, as a person's browser is.

        Raises:
            StartError: the password was changed in Label Studio.
        """
        return signed_in(self.url, self.credentials.username, self.credentials.password)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/health", timeout=5).ok
        except requests.RequestException:
            return False


def start_studio(home: Path, port: int, venv: Path | None = None) -> tuple[Studio, Child]:
    """Install, start and wait for a Label Studio; the caller stops the child.

    Raises:
        StartError: it could not be installed or started.
    """
    studio = Studio(home, port=port, venv=venv)
    studio.install()
    child = Child(studio.program())
    child.start()
    try:
        studio.wait_ready(child)
    except BaseException:
        child.stop()
        raise
    return studio, child
