"""Where a fine-tuning stands, as one safetensors file whose header holds the rest as JSON; nothing is ever unpickled."""

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol

from labelloop.learning.backbones.local_weights import apart
from labelloop.learning.tuning.options import TuneOptions

_FORMAT: Final = 2


class Keeper(Protocol):
    """Keeps one checkpoint: the bytes written last, whole."""

    def write(self, data: bytes) -> None:
        """Put `data` in the place of what was kept, in one step."""
        ...

    def read(self) -> bytes | None:
        """What was kept last; None when there is nothing."""
        ...

    def clear(self) -> None:
        """Keep nothing any more."""
        ...


class CheckpointFile:
    """A checkpoint in a local file, written aside and put in its place when it is whole and on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, data: bytes) -> None:
        """Put `data` in the place of what was kept, in one step."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_name(f".{self._path.name}.{uuid.uuid4().hex}")
        try:
            with aside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._path)
        finally:
            aside.unlink(missing_ok=True)

    def read(self) -> bytes | None:
        """What was kept last; None when there is nothing."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def clear(self) -> None:
        """Keep nothing any more."""
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a fine-tuning stands.

    Attributes:
        tensors: every number of the networks and the optimiser, by name.
        facts: the rest, as JSON values.
    """

    tensors: Mapping[str, Any]
    facts: Mapping[str, Any]


def pack(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as bytes."""
    from safetensors.torch import save

    return save(apart(checkpoint.tensors), metadata={"format": str(_FORMAT), "facts": json.dumps(checkpoint.facts)})


def unpack(data: bytes) -> Checkpoint | None:
    """The checkpoint that `pack` made; None when these bytes are none, or of another release."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        metadata = _metadata(data)
        if metadata.get("format") != str(_FORMAT):
            return None
        return Checkpoint(load(data), json.loads(metadata["facts"]))
    except (SafetensorError, ValueError, KeyError):
        return None


def fingerprint_of(said: Sequence[Any], options: TuneOptions) -> str:
    """Names a fine-tuning by what is learnt from what, as JSON values, and how; with another budget it is the same."""
    return sha256(json.dumps([*said, asdict(replace(options, seconds=0.0))]).encode()).hexdigest()


def find_checkpoint(keeper: Keeper | None, fingerprint: str) -> Checkpoint | None:
    """The checkpoint of the fine-tuning that the fingerprint names; None where another one, or none, is kept."""
    data = keeper.read() if keeper else None
    found = unpack(data) if data else None
    return found if found is not None and found.facts["fingerprint"] == fingerprint else None


def _metadata(data: bytes) -> dict[str, str]:
    """The header's strings: eight bytes of length, then JSON, as safetensors lays a file out."""
    length = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    return dict(header.get("__metadata__", {}))
