"""Several backbones side by side: one row an item, the features of each after those of the one before."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.base import Backbone, OnProgress, ResolvedBackbone

# Parts the names of backbones that are to be joined, as in `resnet50+convnext_tiny`.
JOINT: Final = "+"


class JoinedBackbone:
    """Backbones that each embed every item.

    Args:
        resolved: what they are together; see `join`.
        backbones: them, in order.
    """

    def __init__(self, resolved: ResolvedBackbone, backbones: Sequence[Backbone]) -> None:
        self.id, self.dim = resolved.id, resolved.dim
        self._backbones = tuple(backbones)

    def embed(self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None) -> Floats:
        """Features, float32 [n, dim]; a row of NaN for an image that one of them cannot read.

        `on_progress` is told by the last of them, when the others are done.
        """
        *first, last = self._backbones
        rows = [backbone.embed(items) for backbone in first]
        joined: Floats = np.concatenate([*rows, last.embed(items, on_progress)], axis=1)
        joined[~np.isfinite(joined).all(axis=1)] = np.nan
        return joined


def join(found: Sequence[ResolvedBackbone]) -> ResolvedBackbone:
    """What several backbones are together."""
    digest = sha256("\0".join(one.id for one in found).encode()).hexdigest()[:12]
    return ResolvedBackbone(
        name=JOINT.join(one.name for one in found),
        id=f"joined-{digest}",
        dim=sum(one.dim for one in found),
        note=" ".join(one.note for one in found if one.note),
        blocks=tuple(one.dim for one in found),
    )
