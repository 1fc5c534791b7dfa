"""Keeps programs running: starts them in order, restarts one that dies, stops all in reverse order.

A library would be kept instead if one fitted: honcho stops everything when one program ends, circus and supervisord are
daemons with a control port and a configuration file, and none of them ties the life of a child to its own.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from labelloop.cli.child import STOP_GRACE, Child, Program
from labelloop.cli.log_tail import LogTail
from labelloop.errors import StartError

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
STEADY = 60.0
"""Seconds a program must have run for its next death to count as the first again."""
POLL = 0.2


class Supervisor:
    """Programs that run as long as this object is entered.

    Children are tethered to the thread that starts them, so one thread makes every call.

    Args:
        say: told of each death and restart, one line each.
        echo: given each line that a program added with `echo=True` writes, and the program's name; None for silence.
    """

    def __init__(self, say: Callable[[str], None], echo: Callable[[str, str], None] | None = None) -> None:
        self._say = say
        self._echo = echo
        self._watched: list[_Watched] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def add(self, program: Program, *, echo: bool = False) -> Child:
        """Start a program and keep it running.

        Raises:
            StartError: it could not be started at all.
        """
        tail = LogTail(program.log) if echo and self._echo else None
        child = Child(program)
        child.start()
        self._watched.append(_Watched(child, tail))
        return child

    def tend(self) -> None:
        """Restart what has died, once its back-off is over, and pass on what was logged; call it often."""
        for watched in self._watched:
            self._pass_on(watched)
            watched.child.rotate_log()
            if message := watched.revive(time.monotonic()):
                self._say(message)

    def stop(self, grace: float = STOP_GRACE) -> None:
        """Stop everything, the last started first, and wait for it."""
        while self._watched:
            watched = self._watched.pop()
            watched.child.stop(grace)
            self._pass_on(watched)

    def _pass_on(self, watched: "_Watched") -> None:
        if watched.tail and self._echo:
            for line in watched.tail.lines():
                self._echo(watched.child.program.name, line)


class _Watched:
    """A child and how often it died of late."""

    def __init__(self, child: Child, tail: LogTail | None) -> None:
        self.child = child
        self.tail = tail
        self._deaths = 0
        self._again_at: float | None = None

    def revive(self, now: float) -> str:
        """Start the child again if it is dead and its time has come; returns what there is to say, or nothing."""
        if self.child.alive:
            return ""
        if self._again_at is None:
            self._deaths = 1 if now - self.child.started > STEADY else self._deaths + 1
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (self._deaths - 1))
            self._again_at = now + delay
            program = self.child.program
            return f"{program.name} ended with exit code {self.child.exit_code} and starts again in {delay:g} s; see {program.log}"
        if now >= self._again_at:
            self._again_at = None
            return self._start()
        return ""

    def _start(self) -> str:
        try:
            self.child.start()
        except StartError as error:
            return str(error)
        return ""


def wait_until(ready: Callable[[], bool], child: Child, timeout: float) -> None:
    """Wait for a child to be ready.

    Raises:
        StartError: it ended, or was not ready within `timeout` seconds; the message carries the end of its log.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        if not child.alive:
            raise child.failure()
        if time.monotonic() > deadline:
            raise child.failure(f" after {timeout:.0f} s")
        time.sleep(POLL)
