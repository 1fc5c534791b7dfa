"""Features computed once per (item, backbone) and kept as immutable shards that are mapped, not loaded.

A shard is one safetensors file: `keys` uint8 [n, 32] (digest of the item's reference), `contents` uint8 [n, 32] (digest of the
media's bytes) and `features` float32 [n, d]. Where items have dense features too, they follow one after the other in `values`
float16 and `places` int32, and `value_ends` and `place_ends`, int64 [n], tell where each item's end.
"""

import hashlib
import logging
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from labelloop.learning import Dense
from labelloop.records import Modality
from labelloop.service.store import Store

logger = logging.getLogger(__name__)

Matrix = NDArray[np.float32]
COMPACT_ABOVE = 40
COMPACT_DENSE = 64
"""Shards of more items than this are left as they are when items have dense features, which are large."""
COMPACT_NUMBERS = 16_000_000
"""So are shards of more such numbers, as those of a few long texts: all that are merged are in memory at once."""


def item_key(modality: Modality, value: object, how: str = "") -> str:
    """Hex digest that names an item: what kind it is, how it is read, and the reference or text in the task's data."""
    return hashlib.sha256(f"{modality}{how}\0{value}".encode(errors="replace")).hexdigest()


def content_key(media: bytes | str) -> str:
    """Hex digest of the media itself; equal for two references to the same content."""
    return hashlib.sha256(media.encode(errors="replace") if isinstance(media, str) else media).hexdigest()


@dataclass(frozen=True, slots=True)
class _Shard:
    """An open shard; `ends` are those of its items' values and places, None where it has no dense features."""

    file: Any
    contents: NDArray[np.uint8]
    ends: tuple[NDArray[np.int64], NDArray[np.int64]] | None

    @property
    def is_small(self) -> bool:
        """Whether it may be merged with others."""
        return self.ends is None or (len(self.contents) <= COMPACT_DENSE and int(self.ends[0][-1]) <= COMPACT_NUMBERS)

    def dense(self, row: int) -> Dense:
        """The dense features of one item, read from the file; empty where there are none."""
        if self.ends is None:
            return Dense(np.zeros(0, np.float16), np.zeros(0, np.int32))
        return Dense(self._part("values", self.ends[0], row), self._part("places", self.ends[1], row))

    def _part(self, name: str, ends: NDArray[np.int64], row: int) -> NDArray[Any]:
        start = int(ends[row - 1]) if row else 0
        part: NDArray[Any] = self.file.get_slice(name)[start : int(ends[row])]
        return part


class DenseRows(Sequence[Dense]):
    """Dense features of some items, each read when it is asked for: all at once would not fit in memory.

    Args:
        places: shard and row of each.
    """

    def __init__(self, places: Sequence[tuple[_Shard, int]]) -> None:
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> Dense: ...
    @overload
    def __getitem__(self, place: slice) -> "DenseRows": ...
    def __getitem__(self, place: int | slice) -> "Dense | DenseRows":
        if isinstance(place, slice):
            return DenseRows(self._places[place])
        shard, row = self._places[place]
        return shard.dense(row)

    def take(self, rows: Iterable[int]) -> "DenseRows":
        """Those of some rows."""
        return DenseRows([self._places[row] for row in rows])


class Features:
    """The features of one project under one backbone.

    Args:
        store: where the shards lie.
        folder: the project's folder in the store.
        backbone_id: names backbone, weights and preprocessing.
        cache: local directory for shards of a remote store.
    """

    def __init__(self, store: Store, folder: str, backbone_id: str, cache: Path) -> None:
        self._store = store
        self._folder = f"{folder}/features/{backbone_id}"
        self._cache = cache
        self._shards: dict[str, _Shard] = {}
        self._index: dict[bytes, tuple[str, int]] = {}
        self.refresh()

    def __len__(self) -> int:
        return len(self._index)

    def refresh(self) -> None:
        """See what other processes have added or compacted since."""
        names = self._store.names(self._folder)
        if set(names) == set(self._shards):
            return
        self._drop_copies(self._shards.keys() - set(names))
        self._index = {key: place for key, place in self._index.items() if place[0] in names}
        self._shards = {name: shard for name, shard in self._shards.items() if name in names}
        for name in names:
            if name not in self._shards:
                self._open(name)

    def get(self, keys: Sequence[str]) -> tuple[Matrix, NDArray[np.bool_]]:
        """Features of the items that are here.

        Returns:
            float32 [k, d] for the k items found, in the order asked; bool [n] that tells which of the n keys were found.
        """
        places = [self._index.get(bytes.fromhex(key)) for key in keys]
        found = np.array([place is not None for place in places], dtype=bool)
        wanted = [place for place in places if place is not None]
        if not wanted:
            return np.zeros((0, 0), dtype=np.float32), found
        rows_of: dict[str, list[int]] = {}
        for position, (name, _) in enumerate(wanted):
            rows_of.setdefault(name, []).append(position)
        blocks = {name: self._rows(name, [wanted[p][1] for p in positions]) for name, positions in rows_of.items()}
        matrix = np.empty((len(wanted), next(iter(blocks.values())).shape[1]), dtype=np.float32)
        for name, positions in rows_of.items():
            matrix[positions] = blocks[name]
        return matrix, found

    def known(self, keys: Sequence[str]) -> list[bool]:
        """Which of the items are here; nothing is read for it."""
        return [bytes.fromhex(key) in self._index for key in keys]

    def contents(self, keys: Sequence[str]) -> list[str | None]:
        """Content digest of each item, None where its features are not here."""
        places = [self._index.get(bytes.fromhex(key)) for key in keys]
        return [self._shards[place[0]].contents[place[1]].tobytes().hex() if place else None for place in places]

    def dense(self, keys: Sequence[str]) -> DenseRows:
        """Dense features of the items that are here, in the order asked."""
        places = [place for key in keys if (place := self._index.get(bytes.fromhex(key))) is not None]
        return DenseRows([(self._shards[name], row) for name, row in places])

    def add(
        self, keys: Sequence[str], contents: Sequence[str], matrix: Matrix, dense: Sequence[Dense] | None = None
    ) -> None:
        """Keep the features float32 [n, d] of n items as one new shard, with their dense ones where they have such."""
        if len(keys) == 0:
            return
        self._write(_digests(keys), _digests(contents), np.ascontiguousarray(matrix, dtype=np.float32), dense)
        if len(self._shards) > COMPACT_ABOVE:
            self._compact()

    def _write(
        self, keys: NDArray[np.uint8], contents: NDArray[np.uint8], matrix: Matrix, dense: Sequence[Dense] | None
    ) -> None:
        name = f"{uuid.uuid4().hex}.safetensors"
        tensors: dict[str, NDArray[Any]] = {
            "keys": keys,
            "contents": contents,
            "features": matrix,
            **(_joined(dense) if dense else {}),
        }
        self._store.write(f"{self._folder}/{name}", save(tensors))
        self._open(name)

    def _compact(self) -> None:
        """Merge the shards into one, the large ones with dense features aside; a reader that still maps one keeps it."""
        old = {name: shard for name, shard in self._shards.items() if shard.is_small}
        places = [(key, place) for key, place in self._index.items() if place[0] in old]
        if len(old) < 2 or not places:
            return
        keys = np.frombuffer(b"".join(key for key, _ in places), dtype=np.uint8).reshape(-1, 32)
        contents = np.stack([old[name].contents[row] for _, (name, row) in places])
        names = [key.hex() for key, _ in places]
        matrix, _ = self.get(names)
        has_dense = any(shard.ends is not None for shard in old.values())
        self._write(keys, contents, matrix, list(self.dense(names)) if has_dense else None)
        for name in old:
            self._store.delete(f"{self._folder}/{name}")
            del self._shards[name]
        self._drop_copies(old)

    def _drop_copies(self, names: Iterable[str]) -> None:
        """Delete what is kept here of a remote store's shards that are gone; whoever still maps one keeps it."""
        for name in names:
            (self._cache / self._folder / name).unlink(missing_ok=True)

    def _open(self, name: str) -> None:
        path = self._store.local(f"{self._folder}/{name}", self._cache)
        if path is None:  # compacted by another process since it was listed
            return
        try:
            file: Any = safe_open(str(path), framework="np")
        except FileNotFoundError:  # or just now
            return
        except SafetensorError as error:
            logger.warning(
                "%s/%s is damaged (%s) and is removed; its items are embedded again.", self._folder, name, error
            )
            self._store.delete(f"{self._folder}/{name}")
            self._drop_copies([name])
            return
        keys = file.get_tensor("keys")
        ends = (file.get_tensor("value_ends"), file.get_tensor("place_ends")) if "values" in file.keys() else None  # noqa: SIM118
        self._shards[name] = _Shard(file, file.get_tensor("contents"), ends)
        self._index.update({key.tobytes(): (name, row) for row, key in enumerate(keys)})

    def _rows(self, name: str, rows: list[int]) -> Matrix:
        shard = self._shards[name]
        if len(rows) * 10 > len(shard.contents):
            return np.asarray(shard.file.get_tensor("features")[rows], dtype=np.float32)
        part = shard.file.get_slice("features")
        return np.concatenate([np.asarray(part[row : row + 1], dtype=np.float32) for row in rows])


def _joined(dense: Sequence[Dense]) -> dict[str, NDArray[Any]]:
    return {
        "values": np.concatenate([one.values for one in dense]),
        "places": np.concatenate([one.places for one in dense]),
        "value_ends": np.cumsum([one.values.size for one in dense], dtype=np.int64),
        "place_ends": np.cumsum([one.places.size for one in dense], dtype=np.int64),
    }


def _digests(keys: Sequence[str]) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex("".join(keys)), dtype=np.uint8).reshape(-1, 32)
