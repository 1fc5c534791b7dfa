"""Results of cells as JSON lines, so that a simulation that was stopped goes on where it stopped."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelloop.learning.simulation import Cell, LabelledData

NAME = "cells.jsonl"


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
    """The cells of one output folder; those of another data set or plan are passed over.

    Attributes:
        path: the file.
        fingerprint: of the data set and the plan.
    """

    path: Path
    fingerprint: str

    def read(self) -> dict[tuple[str, int], Cell]:
        """What was finished before."""
        if not self.path.exists():
            return {}
        cells = filter(None, map(self._cell, self.path.read_bytes().splitlines()))
        return {(cell.strategy, cell.seed): cell for cell in cells}

    def clear(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)

    def add(self, cell: Cell) -> None:
        """Keep a finished cell."""
        line = json.dumps({"fingerprint": self.fingerprint, "cell": cell.to_json()})
        torn = self.path.exists() and not self.path.read_bytes().endswith(b"\n")
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("\n" if torn else "") + line + "\n")

    def _cell(self, line: bytes) -> Cell | None:
        """The cell that a line keeps; None for one of other data or another plan, and for a line that was cut off or is none."""
        try:
            record = json.loads(line.decode())
            return Cell.from_json(record["cell"]) if record["fingerprint"] == self.fingerprint else None
        except (ValueError, TypeError, KeyError):
            return None
