"""What a simulation leaves in its folder: its cells as JSON lines, with which it goes on where it stopped, and its results."""

import fcntl
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelloop.errors import SettingsError
from labelloop.learning.simulation import Cell, LabelledData

CELLS = "cells.jsonl"
RESULTS = "results.json"
REPORT = "report.html"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make the folder of the results and hold it, so that two simulations never mix theirs.

    Raises:
        SettingsError: it cannot be made or written to, a folder lies where a file of the results belongs, or another
            simulation holds it.
    """
    with _telling(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in (CELLS, RESULTS, REPORT):
            if (folder / name).is_dir():
                raise SettingsError(_cannot(folder, f"{name} in it is a folder"))
        cells = (folder / CELLS).open("ab")
    with cells:
        try:
            fcntl.flock(cells, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(_cannot(folder, "another simulation writes into it")) from None
        except OSError:  # a disk without locks
            pass
        yield


def write_results(folder: Path, results: dict[str, Any], page: str) -> None:
    """Write the results as JSON and as a page.

    Raises:
        SettingsError: they cannot be written.
    """
    with _telling(folder):
        (folder / RESULTS).write_text(json.dumps(results, indent=1), encoding="utf-8")
        (folder / REPORT).write_text(page, encoding="utf-8")


@contextmanager
def _telling(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingsError(_cannot(folder, error.strerror)) from None


def _cannot(folder: Path, why: str | None) -> str:
    return f"{folder} cannot hold the results: {why}; name another with --output."


def fingerprint(backbone_id: str, contents: Sequence[str], data: LabelledData, facts: dict[str, Any]) -> str:
    """A digest of everything the result of a cell depends on, besides its strategy and seed."""
    count = len(contents)
    tested = [False] * count if data.given_test is None else data.given_test.tolist()
    history = [0] * count if data.history is None else data.history.tolist()
    # A split goes by the keys, and what is kept of a cell names items by them.
    items = sorted(zip(data.keys, contents, data.labels, tested, history, strict=True))
    told = json.dumps([backbone_id, items, facts], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class CellFile:
    """The cells in a folder that is held; those of another data set or plan are passed over.

    Attributes:
        folder: where they are kept.
        fingerprint: of the data set and the plan.

    Raises:
        SettingsError: from every method, when the file cannot be read or written.
    """

    folder: Path
    fingerprint: str

    def read(self) -> dict[tuple[str, int], Cell]:
        """What was finished before."""
        with _telling(self.folder):
            lines = (self.folder / CELLS).read_bytes().splitlines()
        cells = filter(None, map(self._cell, lines))
        return {(cell.strategy, cell.seed): cell for cell in cells}

    def clear(self) -> None:
        """Begin anew."""
        with _telling(self.folder):
            (self.folder / CELLS).write_bytes(b"")  # the file stays, for it is what is held

    def add(self, cell: Cell) -> None:
        """Keep a finished cell."""
        line = json.dumps({"fingerprint": self.fingerprint, "cell": cell.to_json()})
        with _telling(self.folder), (self.folder / CELLS).open("a+b") as file:
            file.seek(0)
            before = file.read()
            torn = bool(before) and not before.endswith(b"\n")
            file.write(("\n" * torn + line + "\n").encode())

    def _cell(self, line: bytes) -> Cell | None:
        """The cell that a line keeps; None for one of other data or another plan, and for a line that was cut off or is none."""
        try:
            record = json.loads(line.decode())
            return Cell.from_json(record["cell"]) if record["fingerprint"] == self.fingerprint else None
        except (ValueError, TypeError, KeyError):
            return None
