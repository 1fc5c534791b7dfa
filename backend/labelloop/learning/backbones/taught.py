"""Which texts a tuned model has learnt from: what it makes of those says little of what it makes of others."""

import json
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path
from typing import Final

TAUGHT: Final = "taught.json"
"""In a tuned model's folder: digests of the texts that it has learnt from."""


def digest_of(text: str) -> str:
    """What names a text among those a model has learnt from."""
    return sha256(text.encode(errors="replace")).hexdigest()[:16]


def write_taught(folder: Path, texts: Collection[str], before: Path) -> None:
    """Note in a tuned model's folder which texts it has learnt from, together with those of the model it was tuned from."""
    digests = sorted(read_taught(before) | {digest_of(text) for text in texts})
    (folder / TAUGHT).write_text(json.dumps(digests), encoding="utf-8")


def read_taught(folder: Path) -> frozenset[str]:
    """Digests of the texts that the model in a folder has learnt from; none where nothing is noted."""
    path = folder / TAUGHT
    return frozenset(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else frozenset()
