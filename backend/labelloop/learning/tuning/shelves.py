"""Items on their way into a network: opened once, kept while there is room."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

OPENERS: Final = 4
ROOM: Final = 512 * 1024**2


class Shelf:
    """Opened items by their number.

    Args:
        items: as they came: encoded images or texts.
        opened: opens one; gives what a network's reader takes and its size in bytes, or None where it cannot be opened.
        room: bytes kept; what is beyond is opened again whenever it is needed.
    """

    def __init__(self, items: Sequence[Any], opened: Callable[[Any], tuple[Any, int] | None], room: int = ROOM) -> None:
        self._items = items
        self._opened = opened
        self._room = room
        self._kept: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._items)

    def take(self, rows: Sequence[int]) -> list[Any]:
        """The opened items of some rows, in their order; None for one that cannot be opened."""
        missing = [row for row in dict.fromkeys(rows) if row not in self._kept]
        with ThreadPoolExecutor(OPENERS) as openers:
            fresh = dict(zip(missing, openers.map(lambda row: self._opened(self._items[row]), missing), strict=True))
        for row, found in fresh.items():
            if found is None or found[1] <= self._room:
                self._room -= found[1] if found else 0
                self._kept[row] = found[0] if found else None
        return [self._kept[row] if row in self._kept else fresh[row][0] for row in rows]  # type: ignore[index]
