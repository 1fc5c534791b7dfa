"""Which items a tuned network has learnt from: what it makes of those says little of what it makes of others."""

import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

TAUGHT: Final = "taught.json"
"""In a tuned network's folder: digests of the items that it has learnt from."""


def digest_of(item: str | bytes) -> str:
    """What names a text or an encoded image among those a network has learnt from."""
    return sha256(item.encode(errors="replace") if isinstance(item, str) else item).hexdigest()[:16]


def write_taught(folder: Path, items: Iterable[str | bytes], before: Path | None) -> None:
    """Note in a tuned network's folder which items it has learnt from, together with those of the one it was tuned from."""
    known = read_taught(before) if before is not None else frozenset[str]()
    digests = sorted(known | {digest_of(item) for item in items})
    (folder / TAUGHT).write_text(json.dumps(digests), encoding="utf-8")


def read_taught(folder: Path) -> frozenset[str]:
    """Digests of the items that the network in a folder has learnt from; none where nothing is noted."""
    path = folder / TAUGHT
    return frozenset(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else frozenset()
