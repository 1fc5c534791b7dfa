"""How often in a row a worker has died of a fine-tuning, so that one that needs more memory than there is comes to an end."""

from typing import Final

from labelloop.service.store import Store

MOST_DEATHS: Final = 3
"""As often in a row as a fine-tuning may be cut off; a worker that is stopped while it trains is cut off, too."""


class Deaths:
    """Counts the times that a fine-tuning was gone on with and nobody lived to tell how it went.

    Args:
        store: keeps the count, where the next worker finds it.
        folder: the project's.
    """

    def __init__(self, store: Store, folder: str) -> None:
        self._store = store
        self._path = f"{folder}/tuning-deaths.json"

    def begin(self) -> bool:
        """Count this time as one, until `survived`; False where there have been too many already."""
        before = self._store.read_json(self._path)
        count = before if isinstance(before, int) else 0
        self._store.write_json(self._path, count + 1)
        return count < MOST_DEATHS

    def survived(self) -> None:
        """Begin to count anew: it is over, has given way, has failed in so many words, or has come further."""
        self._store.delete(self._path)
