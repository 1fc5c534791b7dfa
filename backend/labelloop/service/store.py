"""The store: named files under one directory or fsspec URL, each written whole or not at all."""

import json
import logging
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import fsspec
import orjson
from fsspec.implementations.local import LocalFileSystem

from labelloop.errors import StoreError

logger = logging.getLogger(__name__)

ABANDONED_AFTER: Final = 3600.0
"""Seconds after which what is being written belongs to a process that died."""
_ASIDE: Final = re.compile(r"\..+\.[0-9a-f]{32}")
# No name of a bucket holds a colon or an @; a secret key may hold a slash.
_KEYS_IN_S3: Final = re.compile(r"s3a?://(?!arn:)[^/]*[:@]", re.IGNORECASE)


class Store:
    """Files by path, relative to one root.

    A write is atomic: a reader sees the old bytes or the new ones. On a local disk it is durable too (fsync before the rename).
    Nothing is cached here, so several processes and machines may share one root.

    Args:
        location: a directory, or any URL fsspec understands (`s3://bucket/prefix`).

    Attributes:
        location: the same, without a password, for messages.

    Raises:
        StoreError: from every method, when the root cannot be read or written.
    """

    def __init__(self, location: str) -> None:
        if _KEYS_IN_S3.match(location):
            raise StoreError(
                "The address of the store on S3 holds keys, which S3 takes for a bucket's name; leave them out and set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            )
        self.location = without_password(location)
        try:
            self._fs, root = fsspec.core.url_to_fs(location)
        except (ImportError, ValueError, OSError) as error:
            why = without_password(str(error))
            raise StoreError(
                f"The store {self.location} cannot be opened: {why}. Give a directory or a supported URL."
            ) from None
        self._root = str(root).rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)

    def read(self, path: str) -> bytes | None:
        """The bytes at `path`, or None when there is no such file."""
        with self._errors("read", path):
            try:
                return bytes(self._fs.cat_file(self._full(path)))
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
                _require_bucket(error)
                return None

    def write(self, path: str, data: bytes) -> None:
        """Put `data` at `path` in one step."""
        with self._errors("written", path):
            if self._local:
                _write_local(Path(self._full(path)), data)
            else:
                self._fs.pipe_file(self._full(path), data)

    def take(self, path: str) -> bool:
        """Put an empty file at `path`; False where there is one, so that only one of several processes is told True."""
        with self._errors("written", path):
            try:
                if self._local:
                    Path(self._full(path)).parent.mkdir(parents=True, exist_ok=True)
                    Path(self._full(path)).touch(exist_ok=False)
                else:
                    self._fs.pipe_file(self._full(path), b"", mode="create")
            except FileExistsError:
                return False
            return True

    def read_json(self, path: str) -> Any | None:
        """The JSON value at `path`, or None when there is no such file or it is not JSON."""
        data = self.read(path)
        if data is None:
            return None
        try:
            return _from_json(data)
        except ValueError:
            logger.warning("%s in the store %s is not JSON and is taken as missing", path, self.location)
            return None

    def write_json(self, path: str, value: Any) -> None:
        """Put a JSON value at `path` in one step."""
        self.write(path, _to_json(value))

    def names(self, folder: str) -> list[str]:
        """Names of what lies directly in `folder`, sorted; empty when there is no such folder."""
        with self._errors("listed", folder):
            self._fs.invalidate_cache()
            try:
                found = self._fs.ls(self._full(folder), detail=False)
            except (FileNotFoundError, NotADirectoryError) as error:
                _require_bucket(error)
                return []
        names = sorted(str(path).rstrip("/").rsplit("/", 1)[-1] for path in found)
        return [name for name in names if not name.startswith(".")]

    def delete(self, path: str) -> None:
        """Remove a file, or a folder with all it holds; nothing happens when it is not there."""
        with self._errors("deleted", path):
            try:
                self._fs.rm(self._full(path), recursive=True)
            except FileNotFoundError as error:
                _require_bucket(error)

    def sweep(self, folder: str) -> None:
        """Delete what processes that died while they wrote have left below `folder`; a remote store keeps nothing of that."""
        if self._local:
            with self._errors("swept", folder):
                _sweep_local(self._full(folder))

    def local(self, path: str, cache: Path) -> Path | None:
        """A local file with the bytes at `path`, to be mapped into memory; fetched into `cache` from a remote store.

        Only for files that never change. None when there is no such file.
        """
        if self._local:
            here = Path(self._full(path))
            return here if here.exists() else None
        target = cache / path
        if not target.exists():
            data = self.read(path)
            if data is None:
                return None
            _write_local(target, data)
        return target

    def check_writable(self) -> None:
        """Write, read and delete a small file.

        Raises:
            StoreError: one of the three failed.
        """
        probe = f"probe-{uuid.uuid4().hex}"
        self.write(probe, b"ok")
        read_back = self.read(probe)
        self.delete(probe)
        if read_back != b"ok":
            raise StoreError(f"The store {self.location} does not give back what was written to it.")

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    @contextmanager
    def _errors(self, verb: str, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._failure(verb, path, error.strerror or str(error)) from error
        except Exception as error:  # libraries of remote stores have errors of their own
            raise self._failure(verb, path, f"{type(error).__name__}: {error}") from None

    def _failure(self, verb: str, path: str, why: str) -> StoreError:
        said = without_password(why).rstrip(".")
        return StoreError(f"{path or 'The root'} in the store {self.location} cannot be {verb}: {said}.")


def _require_bucket(error: OSError) -> None:
    """Raise it again where S3 says that the whole bucket is not there: that is no empty store, but one that cannot be read."""
    answer = getattr(error.__cause__, "response", {})
    if answer.get("Error", {}).get("Code") == "NoSuchBucket":
        raise error


def without_password(text: str) -> str:
    """A URL, or what is said of one, without the user and the password that it may hold."""
    return re.sub(r"//[^/\s]*@", "//", text)


def _write_local(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".{target.name}.{uuid.uuid4().hex}"
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _sweep_local(root: str) -> None:
    for folder, _, names in os.walk(root):
        for aside in (Path(folder) / name for name in names if _ASIDE.fullmatch(name)):
            with suppress(FileNotFoundError):  # it is no longer aside
                if time.time() - aside.stat().st_mtime > ABANDONED_AFTER:
                    aside.unlink()


def _to_json(value: Any) -> bytes:
    """JSON, by the fast writer unless a task holds what that cannot write: an integer beyond 64 bits, half a surrogate pair."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return json.dumps(value).encode()


def _from_json(data: bytes) -> Any:
    """What `_to_json` wrote; ValueError for what is no JSON."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)
