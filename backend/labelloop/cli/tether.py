"""Runs a command that is asked to stop when the process that started it dies, however it dies.

`tether(command)` puts this file in front of a command. On Linux it asks for a signal at its parent's death and then
becomes the command; elsewhere it only becomes the command. It is a program of its own, because code that runs between
fork and exec (`preexec_fn`) may deadlock in a process with threads. The kernel sends the signal when the *thread* that
started the child ends, so start tethered children from a thread that lives as long as they should.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def tether(command: Sequence[str]) -> list[str]:
    """The command line that runs `command` until this process dies."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def _main(parent: int, command: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the signal was asked for
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2:])
