"""A real Label Studio that a test can stop, kill and start again."""

import fcntl
import shutil
from pathlib import Path

import requests

from labelloop.cli.child import Child
from labelloop.cli.ports import free_port
from labelloop.cli.studio import Studio, start_studio
from labelloop.cli.studio_install import VERSION

RUN = Path(__file__).parents[2] / ".run"
STUDIO_VENV = RUN / "label-studio" / "venv"
_STARTED_ONCE = RUN / f"studio-{VERSION}-started-once"


def copy_started_studio(home: Path) -> None:
    """Put the home of a Label Studio that was started once where there is none: a first start takes ten times as long as others.

    Safe to call from several processes: one starts it that once, the others wait, and later runs find what it made.
    """
    RUN.mkdir(exist_ok=True)
    with (RUN / "studio.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _STARTED_ONCE.exists():
            aside = _STARTED_ONCE.with_name(f"{_STARTED_ONCE.name}.new")
            shutil.rmtree(aside, ignore_errors=True)
            process = StudioProcess(aside)
            process.start()
            process.stop()
            aside.rename(_STARTED_ONCE)
    shutil.copytree(_STARTED_ONCE, home)


class StudioProcess:
    """A Label Studio on a free port with its data in a folder of the test's; a later start keeps port and data."""

    def __init__(self, home: Path) -> None:
        self._studio = Studio(home, port=free_port(), venv=STUDIO_VENV)
        self._child: Child | None = None

    @property
    def home(self) -> Path:
        return self._studio.home

    @property
    def url(self) -> str:
        return self._studio.url

    @property
    def username(self) -> str:
        return self._studio.credentials.username

    @property
    def password(self) -> str:
        return self._studio.credentials.password

    @property
    def api_key(self) -> str:
        """The personal access token."""
        return self._studio.credentials.api_key

    @property
    def legacy_key(self) -> str:
        """The legacy token, which Label Studio refuses until `allow_legacy_key(True)`."""
        token: str = self.session().get(f"{self.url}/api/current-user/token", timeout=30).json()["token"]
        return token

    def allow_legacy_key(self, allowed: bool) -> None:
        """Switch legacy tokens on or off; they are off at first, as in a stock Label Studio."""
        wanted = {"api_tokens_enabled": True, "legacy_api_tokens_enabled": allowed, "api_token_ttl_days": 73000}
        self.session().post(f"{self.url}/api/jwt/settings", json=wanted, timeout=30).raise_for_status()

    def session(self) -> requests.Session:
        """A logged-in browser's session."""
        return self._studio.browser()

    def another_person(self) -> requests.Session:
        """A browser's session of somebody who was invited and signed up."""
        invitation = f"{self.url}{self.session().get(f'{self.url}/api/invite', timeout=30).json()['invite_url']}"
        browser = requests.Session()
        browser.get(invitation, timeout=30)
        form = {"email": "second@localhost.test", "password": self.password}
        form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
        browser.post(invitation, data=form, headers={"Referer": invitation}, timeout=30).raise_for_status()
        return browser

    @property
    def pid(self) -> int:
        return self._child.pid if self._child else 0

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    def start(self) -> None:
        if not self.alive:
            self._studio, self._child = start_studio(self._studio.home, self._studio.port, self._studio.venv)

    def stop(self) -> None:
        if self._child:
            self._child.stop()

    def kill(self) -> None:
        if self._child:
            self._child.kill()
