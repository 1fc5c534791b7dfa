"""Fetched media on the local disk: bounded, shared by several processes, never half written."""

import contextlib
import logging
import os
import tempfile
import threading
import time
from pathlib import Path

logger = logging.getLogger(__name__)

TEMPORARY = ".part-"
ABANDONED_AFTER = 3600.0


class MediaCache:
    """Keeps bytes by key and forgets what was not asked for the longest. What fails is only logged: a cache may lose everything.

    Args:
        folder: where; made when first needed.
        limit: bytes kept at most, give or take a sixteenth for every further process; 0 keeps nothing.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._lock = threading.Lock()
        self._unchecked = limit  # the first write looks at what others left

    def get(self, key: str) -> bytes | None:
        """What was kept under a key of hexadecimal digits, None when it is not here."""
        path = self._path(key)
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return data

    def put(self, key: str, data: bytes) -> None:
        """Keep bytes under a key; they appear whole or not at all."""
        if len(data) > self._limit:
            return
        try:
            self._write(self._path(key), data)
            with self._lock:
                self._unchecked += len(data)
                if self._unchecked > self._limit // 16:
                    self._unchecked = 0
                    self._trim()
        except OSError as error:
            logger.warning("Media cannot be kept in %s (%s); it will be fetched again.", self._folder, error)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise

    def _trim(self) -> None:
        """Delete the least recently used until seven eighths of the limit are left."""
        kept: list[tuple[float, int, Path]] = []
        for path in self._folder.glob("*/*"):
            with contextlib.suppress(FileNotFoundError):  # another process trims too
                status = path.stat()
                if not path.name.startswith(TEMPORARY):
                    kept.append((status.st_mtime, status.st_size, path))
                elif status.st_mtime < time.time() - ABANDONED_AFTER:
                    path.unlink()
        excess = sum(size for _, size, _ in kept) - self._limit
        if excess <= 0:
            return
        excess += self._limit // 8
        for _, size, path in sorted(kept):
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= size
