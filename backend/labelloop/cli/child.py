"""One child process: how it is started, watched and stopped."""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labelloop.cli.tether import tether
from labelloop.errors import StartError

LOG_LIMIT = 20 * 1024**2
STOP_GRACE = 10.0
KILL_GRACE = 3.0


@dataclass(frozen=True)
class Program:
    """A command to keep running.

    Attributes:
        name: what it is called in messages.
        command: its command line; secrets do not belong here, any user can list it.
        log: the file that its output is added to.
        environment: its whole environment.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)


class Child:
    """A running program, in a session of its own so that Ctrl-C reaches only the one who stops it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.started = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """The process id of the last start; 0 before the first."""
        return self._process.pid if self._process else 0

    @property
    def exit_code(self) -> int | None:
        """How it ended, negative for a signal; None while it runs or before the first start."""
        return self._process.poll() if self._process else None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it.

        Raises:
            StartError: the command is not there, or may not be run.
        """
        log = self.program.log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._log_start = output.tell()
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own programs
                    tether(self.program.command),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=dict(self.program.environment),
                    start_new_session=True,
                )
            except OSError as error:
                raise StartError(f"{self.program.name} could not be started: {error}.") from None
        self.started = time.monotonic()

    def stop(self, grace: float = STOP_GRACE) -> None:
        """Ask it to stop, ask again after `grace` seconds (an RQ worker then drops its job), and kill it at last."""
        for ask, seconds in ((True, grace), (True, KILL_GRACE), (False, KILL_GRACE)):
            if self._process is None or self._process.poll() is not None:
                return
            if ask:
                self._process.terminate()
            else:
                self._process.kill()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def output(self) -> str:
        """What it has written since its last start."""
        if not self.program.log.exists():
            return ""
        with self.program.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def failure(self, hint: str = "") -> StartError:
        """The error that says how it ended, with the last lines of its log."""
        tail = "\n".join(f"    {line}" for line in self.output().strip().splitlines()[-12:])
        state = "is not ready" if self.alive else f"ended with exit code {self.exit_code}"
        return StartError(f"{self.program.name} {state}{hint}. The end of its log, {self.program.log}:\n{tail}")

    def rotate_log(self, limit: int = LOG_LIMIT) -> None:
        """Move a log of more than `limit` bytes aside, keeping one older part."""
        log = self.program.log
        if log.exists() and log.stat().st_size > limit:
            shutil.copyfile(log, log.with_suffix(log.suffix + ".1"))
            os.truncate(log, 0)
            self._log_start = 0
