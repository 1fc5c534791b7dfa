"""`labelloop up` as a user runs it, in a directory of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from copy import copy
from pathlib import Path

from labelloop.cli.ports import free_port
from labelloop.cli.studio_install import ensure_installed
from support.studio_process import STUDIO_VENV, copy_started_studio


class UpProcess:
    """One data directory with two ports; may be started again and again."""

    def __init__(self, folder: Path, *, studio_started_before: bool = False) -> None:
        self.folder = folder
        self.port, self.studio_port = free_port(), free_port()
        self._output = folder / "output"
        self._process: subprocess.Popen[bytes] | None = None
        ensure_installed(STUDIO_VENV)
        home = folder / "label-studio"
        if studio_started_before:
            copy_started_studio(home)
        else:
            home.mkdir()
        (home / "venv").symlink_to(STUDIO_VENV)

    def start(self, *arguments: str, **environment: str) -> None:
        """Start it with its output in a file."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LABEL", "REDIS_URL"))}
        ports = ["--port", str(self.port), "--studio-port", str(self.studio_port)]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "labelloop.cli", "up", *ports, *arguments],
                env={**inherited, "LABELLOOP_DATA_DIR": str(self.folder), "LABELLOOP_OFFLINE": "true", **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_heed_signals,
            )

    def another(self) -> "UpProcess":
        """A second one on the same directory."""
        other = copy(self)
        other._output = self.folder / "output-of-another"
        other._process = None
        return other

    def output(self) -> str:
        return self._output.read_text()

    def wait_for(self, text: str, seconds: float = 300) -> None:
        """Wait until it prints something.

        Raises:
            AssertionError: it ended first, or took too long.
        """
        deadline = time.monotonic() + seconds
        while text not in self.output():
            assert self._process is not None
            assert self._process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.1)

    def wait(self, seconds: float) -> int:
        """Its exit code."""
        assert self._process is not None
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def children(self) -> dict[str, int]:
        """The running processes that work on its directory, by what they are."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                line = (path / "cmdline").read_text().replace("\0", " ")
                # redis-server writes its title over its environment
                signs = (path / "environ").read_text() + str((path / "cwd").readlink())
            except (OSError, UnicodeDecodeError):
                continue
            if str(self.folder) in signs and self._process and int(path.name) != self._process.pid:
                found[_kind(line)] = int(path.name)
        return found

    def wait_childless(self, seconds: float = 30) -> None:
        """Wait until nothing works on its directory any more.

        Raises:
            AssertionError: something still does.
        """
        deadline = time.monotonic() + seconds
        while left := self.children():
            assert time.monotonic() < deadline, left
            time.sleep(0.1)


def _heed_signals() -> None:
    """As in a terminal of a user's: what runs the tests may be in the background, where Ctrl-C and hang-ups are ignored."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _kind(line: str) -> str:
    match = re.search(r"redis-server|label-studio start|labelloop\.cli (\w+)", line)
    return (match[1] or match[0]) if match else line
