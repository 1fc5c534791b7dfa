"""Published versions: immutable folders in the store, and the one pointer that says which is live.

`versions/<name>/` holds `taken`, by which one process alone has the name, one safetensors file a learner, `labels.json` (what it was
trained and judged on) and `manifest.json`. The manifest is written last, so a folder without one is not a version, and the pointer
after it.
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, Protocol

from numpy.typing import NDArray
from pydantic import TypeAdapter
from pydantic import ValidationError as InvalidRecord

from labelloop.errors import StoreError, VersionError
from labelloop.learning import BackboneSpec, Learner, Measured, ResolvedBackbone, learner_of
from labelloop.records import Control
from labelloop.service.store import Store

logger = logging.getLogger(__name__)

NO_VERSION = "untrained"
LONGEST_NAME: Final = 100
"""Characters of a control's name that the name of its file shows."""


@dataclass(frozen=True, slots=True)
class LearnerRecord:
    """One learner of a version, as its manifest describes it.

    Attributes:
        control: what it was trained for.
        classes: the classes it knows, in the config's order at the time.
        kind: name of the learner's class in the registry; empty in a cold version, which has features but nothing learnt, unless
            the backbone answers by itself.
        backbone_spec: the backbone as the settings asked for it.
        backbone: the backbone that was found.
        meta: what the learner needs beside its arrays to be loaded again.
        metrics: on the holdout; None while it is empty.
        cv_metrics: cross-validated on the training labels.
        labels: labelled tasks it was trained on; 0 also where an earlier release published it.
        holdout: labelled tasks it was judged on.
    """

    control: Control
    classes: tuple[str, ...]
    kind: str
    backbone_spec: BackboneSpec
    backbone: ResolvedBackbone
    meta: dict[str, Any] = field(default_factory=dict)
    metrics: Measured | None = None
    cv_metrics: Measured | None = None
    labels: int = 0
    holdout: int = 0

    @property
    def taught(self) -> bool:
        """Whether it has learnt from labels; what a backbone says by itself has not."""
        return self.labels > 0 or self.metrics is not None or self.cv_metrics is not None

    def answers(self, control: Control) -> bool:
        """Whether it says what a control of its name asks for now; the labels may be others."""
        return self.control.question == control.question


@dataclass(frozen=True, slots=True)
class Version:
    """A published set of learners; never changes.

    Attributes:
        name: what Label Studio shows as the model version.
        number: counts up in a project.
        created_at: ISO time, UTC.
        stage: `cold` has an order for the queue and has learnt nothing; `trained` has learnt from labels.
        parent: the version that was live when this one was trained.
        order: the strategy that orders the queue.
        learners: one per control.
        labels: labelled tasks it was trained on.
        holdout: labelled tasks it was judged on.
        reason: why the gate let it through.
        settings: the settings that shaped it.
        libraries: versions of what computed it.
    """

    name: str
    number: int
    created_at: str
    stage: str
    parent: str | None
    order: str
    learners: tuple[LearnerRecord, ...] = ()
    labels: int = 0
    holdout: int = 0
    reason: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)

    @property
    def learnt(self) -> tuple[LearnerRecord, ...]:
        """Those of the learners that have a model; the others order the queue by their backbone alone."""
        return tuple(record for record in self.learners if record.kind)

    @property
    def leading(self) -> LearnerRecord:
        """The learner that strategies look at: the first that has learnt from labels, else the first."""
        return next((record for record in self.learners if record.taught), self.learners[0])


class LearnerArrays(Protocol):
    """What a version keeps of a learner beside its record."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The learner's numbers."""
        ...


_ADAPTER = TypeAdapter(Version)


class Versions:
    """The versions of one project.

    Args:
        store: where they lie.
        folder: the project's folder in the store.
    """

    def __init__(self, store: Store, folder: str) -> None:
        self._store = store
        self._folder = f"{folder}/versions"
        self._pointer = f"{folder}/live.json"

    def live_name(self) -> str | None:
        """Name of the live version, None before the first."""
        pointer = self._store.read_json(self._pointer)
        return str(pointer["version"]) if pointer else None

    def live(self) -> Version | None:
        """The live version, None before the first."""
        name = self.live_name()
        return self.get(name) if name else None

    def get(self, name: str) -> Version:
        """The version of that name.

        Raises:
            VersionError: there is none, or its manifest cannot be read.
        """
        manifest = self._store.read(f"{self._folder}/{name}/manifest.json") if _NAME.fullmatch(name) else None
        if manifest is None:
            raise VersionError(f"There is no version {name!r}; `labelloop versions` lists what there is.")
        try:
            return _ADAPTER.validate_json(manifest)
        except InvalidRecord as error:
            raise VersionError(
                f"The manifest of version {name!r} cannot be read: {error.error_count()} faults."
            ) from error

    def all(self) -> list[Version]:
        """Every whole version, newest first."""
        found = []
        for name in self._store.names(self._folder):
            try:
                found.append(self.get(name))
            except VersionError:  # half-written by a process that died, or of a later release
                continue
        return sorted(found, key=lambda version: version.number, reverse=True)

    def manifests(self) -> list[bytes]:
        """The manifest of every version as it is written, also of those that only another release can read."""
        found = (self._store.read(f"{self._folder}/{name}/manifest.json") for name in self._store.names(self._folder))
        return [manifest for manifest in found if manifest is not None]

    def next_name(self, stage: str, now: datetime | None = None) -> tuple[str, int]:
        """A name nobody has used, with its number: `v12-20261124-021530`, or `v1-…-cold`."""
        numbers = [int(match[1]) for name in self._store.names(self._folder) if (match := _NAME.fullmatch(name))]
        number = max(numbers, default=0) + 1
        moment = (now or datetime.now(UTC)).strftime("%Y%m%d-%H%M%S")
        return f"v{number}-{moment}" + ("-cold" if stage == "cold" else ""), number

    def publish(
        self,
        version: Version,
        learners: Mapping[str, LearnerArrays],
        labels: Mapping[str, Any],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Write a version and make it live.

        Args:
            version: its manifest.
            learners: by control name.
            labels: what `labels` gives back.
            check: called just before the pointer moves; raises VersionError where the version may not go live any more.

        Raises:
            VersionError: from `check`; nothing of the version is left. Or another process publishes one of that name.
            StoreError: the store cannot be written to; nothing is left of what was not written whole.
        """
        if not self._store.take(f"{self._folder}/{version.name}/taken"):
            raise VersionError(
                f"Another process publishes a version {version.name!r} at this moment; this one is not published."
            )
        try:
            self._write(version, learners, labels)
            check()
        except (StoreError, VersionError):
            self._discard(version.name)
            raise
        self.make_live(version.name)

    def make_live(self, name: str) -> None:
        """Move the pointer.

        Raises:
            VersionError: there is no such version.
        """
        self.get(name)
        self._store.write_json(
            self._pointer, {"version": name, "since": datetime.now(UTC).isoformat(timespec="seconds")}
        )

    def arrays(self, name: str, control: str) -> dict[str, NDArray[Any]]:
        """The numbers of one learner of a version.

        Raises:
            VersionError: they are not there.
        """
        from safetensors.numpy import load

        data = self._store.read(f"{self._folder}/{name}/{_file_of(control)}")
        if data is None:
            raise VersionError(f"Version {name!r} has no learner for {control!r}.")
        return dict(load(data))

    def learner(self, name: str, record: LearnerRecord) -> Learner:
        """One learner of a version, ready to predict.

        Raises:
            VersionError: its numbers are not there.
        """
        kind = learner_of(record.control.kind, record.backbone_spec.parts)
        return kind.from_arrays(self.arrays(name, record.control.name), record.meta)

    def labels(self, name: str) -> dict[str, Any]:
        """What a version was trained and judged on: by control, the task ids' labels, the content keys' sides and those judged on."""
        return dict(self._store.read_json(f"{self._folder}/{name}/labels.json") or {})

    def retire(self, keep: int) -> list[str]:
        """Delete all but the newest `keep` versions; the live one and its parent stay. Returns the names that went."""
        live = self.live()
        kept = {live.name, live.parent} if live else set()
        gone = [version.name for version in self.all()[keep:] if version.name not in kept]
        gone += self._unfinished(live.number) if live else []
        for name in gone:
            self._store.delete(f"{self._folder}/{name}")
        return gone

    def _unfinished(self, before: int) -> list[str]:
        """What processes that died have left of versions before that number; a later one may be under way."""
        numbered = [(name, _NAME.fullmatch(name)) for name in self._store.names(self._folder)]
        early = [name for name, match in numbered if match and int(match[1]) < before]
        return [name for name in early if self._store.read(f"{self._folder}/{name}/manifest.json") is None]

    def _write(self, version: Version, learners: Mapping[str, LearnerArrays], labels: Mapping[str, Any]) -> None:
        from safetensors.numpy import save

        folder = f"{self._folder}/{version.name}"
        for control, learner in learners.items():
            self._store.write(f"{folder}/{_file_of(control)}", save(learner.arrays()))
        self._store.write_json(f"{folder}/labels.json", labels)
        self._store.write(f"{folder}/manifest.json", _ADAPTER.dump_json(version))

    def _discard(self, name: str) -> None:
        """Delete what was written of a version that does not go live: every try to publish on a full disk would leave as much."""
        try:
            if self.live_name() != name:
                self._store.delete(f"{self._folder}/{name}")
        except StoreError as error:
            logger.warning("What was written of version %s is left: %s", name, error)


_NAME = re.compile(r"v(\d+)-\d{8}-\d{6}(?:-cold)?")


def is_version_name(name: str) -> bool:
    """Whether a model version is called as ours are."""
    return _NAME.fullmatch(name) is not None


def _file_of(control: str) -> str:
    """A file name of its own for each control, whatever characters it is called by and however many."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", control)[:LONGEST_NAME]
    digest = "" if plain == control else f"-{sha256(control.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
    return f"learner-{plain}{digest}.safetensors"
