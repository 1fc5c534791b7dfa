"""Installs a Label Studio into an environment of its own: its libraries and Labelloop's do not go together."""

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labelloop.errors import StartError

VERSION = "1.23.2"
LOCK = Path(__file__).with_name("label_studio_requirements.txt")


def ensure_installed(venv: Path) -> None:
    """Install Label Studio into `venv` unless it is there.

    Safe to call from several processes: one installs, the others wait.

    Raises:
        StartError: uv is not found, or the installation failed.
    """
    venv.parent.mkdir(parents=True, exist_ok=True)
    with _locked(venv.parent / "install.lock"):
        if not is_installed(venv):
            uv = find_uv()
            _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(venv))
            _run(uv, "pip", "install", "--quiet", "--python", str(venv / "bin" / "python"), "--requirement", str(LOCK))
            _stamp(venv).touch()


def is_installed(venv: Path) -> bool:
    """Whether a whole installation of this version is there."""
    return _stamp(venv).exists()


def find_uv() -> str:
    """The uv of this environment, or the one on the PATH.

    Raises:
        StartError: there is none.
    """
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if not found:
        raise StartError("uv, which installs Label Studio, was not found; run scripts/run, or `pip install uv`.")
    return found


def _stamp(venv: Path) -> Path:
    return venv / f"label-studio-{VERSION}"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - uv alone
    if done.returncode:
        raise StartError(f"Label Studio {VERSION} could not be installed: {done.stderr.strip()[-2000:]}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
