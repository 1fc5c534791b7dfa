"""What the learners of `tasks` read of a data set's items."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.label_data import mobilenet
from benchmarks.task_data import Task
from labelloop.learning import AskedItems, BackboneSpec, Dense, Reads, load_backbone, resolve_backbone
from labelloop.records import Control, Modality, Target, parts_of
from labelloop.service.embedding import embed_whole
from labelloop.service.releases import backbone_spec
from labelloop.settings import Settings

CHUNK = 64


@dataclass(frozen=True, slots=True)
class Features:
    """Features of some items under one backbone.

    Attributes:
        rows: float32 [n, d].
        dense: of each item; none where the backbone gives none.
    """

    rows: NDArray[Any]
    dense: Sequence[Dense]

    def read(self, reads: Reads, targets: Sequence[Target], rows: Sequence[int] | None = None) -> Any:
        """What a learner reads of items; of regions it is asked about those that people drew, as if a model had found them all.

        Args:
            reads: what kind of it.
            targets: of all items.
            rows: which of the items; None: all.
        """
        rows = range(len(self.rows)) if rows is None else rows
        if reads is Reads.ROWS:
            return self.rows[np.asarray(rows, dtype=int)]
        dense = [self.dense[row] for row in rows]
        return dense if reads is Reads.DENSE else AskedItems(dense, [parts_of(targets[row]) for row in rows])


def features(name: str, spec: BackboneSpec, items: Sequence[Any]) -> Features:
    """Features of items under the backbone that a spec means; the name is told to who watches."""
    resolved = resolve_backbone(spec)
    typer.echo(f"{name}: {len(items)} items under {resolved.name}", err=True)
    backbone = load_backbone(spec, resolved)
    rows, dense = [], list[Dense]()
    for start in range(0, len(items), CHUNK):
        some, parts = embed_whole(backbone, spec, list(items[start : start + CHUNK]))
        rows.append(some)
        dense += parts
    return Features(np.concatenate(rows), dense)


def spec_of(task: Task) -> BackboneSpec:
    """The backbone of a task's quick learner, on the device that TASKS_DEVICE names, or the processor."""
    device = os.environ.get("TASKS_DEVICE", "cpu")
    control = Control("answer", "", "shown", "item", task.modality, task.classes, task.kind)
    if task.modality is Modality.IMAGE:
        settings = Settings(image_backbone="mobilenet_v2", image_weights=str(mobilenet()), device=device, offline=True)
    else:
        settings = Settings(text_backbone="all-MiniLM-L6-v2", device=device, offline=True)
    return backbone_spec(settings, control)
