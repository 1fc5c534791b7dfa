"""Files that only this user may read."""

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write a file in one step, readable by this user alone; the directory is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
    aside.replace(path)
