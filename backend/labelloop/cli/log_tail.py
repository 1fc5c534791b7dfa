"""Reads what is added to a log file, line by line."""

from pathlib import Path


class LogTail:
    """The lines that come into a file from now on.

    Args:
        path: the file; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0
        self._rest = b""

    def lines(self) -> list[str]:
        """The lines completed since the last call; a file cut short is read from its start."""
        if not self._path.exists():
            return []
        if self._path.stat().st_size < self._offset:
            self._offset, self._rest = 0, b""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            added = file.read()
        self._offset += len(added)
        *whole, self._rest = (self._rest + added).split(b"\n")
        return [line.decode(errors="replace") for line in whole]
