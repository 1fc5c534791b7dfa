"""Kills a fine-tuning in another process once it has come some way."""

import os
import subprocess
import sys
import time
from pathlib import Path

from labelloop.learning.tuning.checkpoints import unpack


def kill_midway(module: str, folder: Path, made: Path, *, steps: int) -> None:
    """Run `tune(folder, made)` of a test module in another process, and kill it between its third step and the last.

    Args:
        module: the test module's name.
        folder: where it keeps its checkpoint, under that name.
        made: what it starts from.
        steps: how many it would do.
    """
    code = f"import sys, pathlib, {module} as t; t.tune(*map(pathlib.Path, sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": ":".join([str(Path(__file__).parents[1]), *sys.path])}
    process = subprocess.Popen([sys.executable, "-c", code, str(folder), str(made)], env=environment)
    file = folder / "checkpoint"

    def steps_done() -> int:
        found = unpack(file.read_bytes()) if file.exists() else None
        return int(found.facts["standing"]["step"]) if found else 0

    deadline = time.monotonic() + 120
    while steps_done() < 3:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert 3 <= steps_done() < steps, "it was killed in the middle"
    assert not list(folder.glob("*-tuned"))
