"""Features of tasks that no worker has embedded yet: computed in the server when Label Studio asks for such a task."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from labelloop.errors import LabelloopError, LearningError
from labelloop.learning import Backbone, Dense
from labelloop.records import Control
from labelloop.service.context import Context
from labelloop.service.embedding import embed_whole
from labelloop.service.reading import Reading, media_of
from labelloop.service.tuned import load_recorded
from labelloop.service.versions import LearnerRecord

logger = logging.getLogger(__name__)

Row = NDArray[np.float32]
T = TypeVar("T")
Key = tuple[str, str]
"""The backbone's id and the item's key."""

FETCHERS = 8
CHUNK = 16
REMEMBERED = 64 * 2**20
"""Bytes kept in memory: a row is 1 to 8 kB, dense features up to a megabyte."""
NETWORKS = 4
"""Networks kept in memory; every fine-tuning that is published brings one of its own."""
LOAD_AGAIN_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class Item:
    """One task's object.

    Attributes:
        task_id: for messages and for resolving storage links.
        value: what the task's data holds under the control's key: a text, or a reference to an image.
    """

    task_id: int
    value: object


@dataclass(frozen=True, slots=True)
class Found:
    """Features of one item.

    Attributes:
        row: float32 [d].
        dense: its dense ones; None where the backbone gives none.
    """

    row: Row
    dense: Dense | None

    @property
    def size(self) -> int:
        """Bytes."""
        return self.row.nbytes + (self.dense.values.nbytes + self.dense.places.nbytes if self.dense else 0)


class OnDemand:
    """Fetches and embeds what is asked for; what it has computed stays in memory, the oldest goes first.

    Several requests fetch at the same time; one thread embeds, so that the networks are loaded once and the processor is not
    shared between several of them.

    Args:
        context: where media come from.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._fetchers = ThreadPoolExecutor(FETCHERS, "labelloop-fetch")
        self._embedding = ThreadPoolExecutor(1, "labelloop-embed")
        self._backbones: OrderedDict[str, Backbone] = OrderedDict()
        self._failed: dict[str, tuple[float, str]] = {}
        self._found: OrderedDict[Key, Found] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Take no more work; what is in hand is not waited for."""
        self._fetchers.shutdown(wait=False, cancel_futures=True)
        self._embedding.shutdown(wait=False, cancel_futures=True)

    def features(
        self, record: LearnerRecord, control: Control, items: Sequence[Item], deadline: float
    ) -> list[Found | None]:
        """Features of the items under the record's backbone.

        Args:
            record: says which backbone.
            control: says how the items are read.
            items: n of them.
            deadline: `time.monotonic()` by which the answer is due.

        Returns:
            n of them; None for what cannot be had, or not in time.
        """
        reading = Reading(control, self._context.settings)
        keys = [(record.backbone.id, reading.key(item.value)) for item in items]
        found = [self._recall(key) for key in keys]
        missing = [place for place, one in enumerate(found) if one is None]
        for start in range(0, len(missing), CHUNK):
            if time.monotonic() >= deadline:
                logger.warning("%d of %d tasks were not reached in time", len(missing) - start, len(items))
                break
            places = missing[start : start + CHUNK]
            computed = self._compute(record, control, [items[p] for p in places], [keys[p] for p in places], deadline)
            for place, one in zip(places, computed, strict=True):
                found[place] = one
        return found

    def _compute(
        self, record: LearnerRecord, control: Control, items: Sequence[Item], keys: Sequence[Key], deadline: float
    ) -> list[Found | None]:
        fetches = [self._fetchers.submit(media_of, self._context, control, item.task_id, item.value) for item in items]
        # Half of the time that is left at most goes into waiting for media, so that a slow host does not cost the others theirs.
        fetched_by = (time.monotonic() + deadline) / 2
        outcomes = [
            _outcome(fetch, fetched_by, f"task {item.task_id}") for fetch, item in zip(fetches, items, strict=True)
        ]
        media = {place: medium for place, medium in enumerate(outcomes) if medium is not None}
        found: list[Found | None] = [None] * len(items)
        if not media:
            return found
        job = self._embedding.submit(self._embed, record, [keys[p] for p in media], list(media.values()))
        embedded = _outcome(job, deadline, f"embedding {len(media)} tasks under {record.backbone.name}")
        for place, one in zip(media, embedded or [None] * len(media), strict=True):
            found[place] = one
        return found

    def _embed(self, record: LearnerRecord, keys: Sequence[Key], media: Sequence[bytes | str]) -> list[Found | None]:
        matrix, dense = embed_whole(self._backbone(record), record.backbone_spec, list(media))
        parts: Sequence[Dense | None] = dense or [None] * len(matrix)
        found = [Found(row, part) if np.isfinite(row).all() else None for row, part in zip(matrix, parts, strict=True)]
        with self._lock:
            for key, one in zip(keys, found, strict=True):
                if one is not None:
                    self._remember(key, one)
        return found

    def _remember(self, key: Key, found: Found) -> None:
        """Keep it, and forget the oldest beyond what is kept; called with the lock."""
        known = self._found.pop(key, None)
        self._found[key] = found
        self._bytes += found.size - (known.size if known else 0)
        while self._bytes > REMEMBERED:
            self._bytes -= self._found.popitem(last=False)[1].size

    def _backbone(self, record: LearnerRecord) -> Backbone:
        """The loaded network, one of a few that are kept; called in the embedding thread only."""
        name = record.backbone.id
        if name not in self._backbones:
            failed_at, reason = self._failed.get(name, (-LOAD_AGAIN_AFTER, ""))
            if time.monotonic() - failed_at < LOAD_AGAIN_AFTER:
                raise LearningError(reason)
            logger.info("Loading the backbone %s", name)
            try:
                self._backbones[name] = load_recorded(self._context, record.backbone_spec, record.backbone)
            except LabelloopError as error:
                self._failed[name] = (time.monotonic(), str(error))
                raise
        self._backbones.move_to_end(name)
        while len(self._backbones) > NETWORKS:
            self._backbones.popitem(last=False)
        return self._backbones[name]

    def _recall(self, key: Key) -> Found | None:
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)


def _outcome(future: "Future[T]", deadline: float, what: str) -> T | None:
    """What the future gives by the deadline; None, with a line in the log, when that is nothing."""
    try:
        return future.result(timeout=max(0.0, deadline - time.monotonic()))
    except TooLate:
        future.cancel()
        logger.warning("No prediction: %s took too long", what)
    except LabelloopError as error:
        logger.warning("No prediction: %s", error)
    except Exception:
        logger.exception("No prediction: %s failed", what)
    return None
