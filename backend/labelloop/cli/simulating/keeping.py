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
        """What was finished before; a line that was cut off while it was written is no cell."""
        if not self.path.exists():
            return {}
        found = {}
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record["fingerprint"] == self.fingerprint:
                cell = Cell.from_json(record["cell"])
                found[cell.strategy, cell.seed] = cell
        return found

    def clear(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)

    def add(self, cell: Cell) -> None:
        """Keep a finished cell."""
        line = json.dumps({"fingerprint": self.fingerprint, "cell": cell.to_json()})
        torn = self.path.exists() and not self.path.read_bytes().endswith(b"\n")
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("\n" if torn else "") + line + "\n")
