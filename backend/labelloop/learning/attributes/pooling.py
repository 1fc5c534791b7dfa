"""What a backbone says of single regions: the mean of its maps inside a box, of its tokens in a span."""

from collections.abc import Sequence

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.backbones.maps import unpack
from labelloop.learning.backbones.tokens import unpack_tokens
from labelloop.records import Box, Part, Span
from labelloop.records.geometry import hulls


def pooled(dense: Dense, parts: Sequence[Part]) -> list[Floats]:
    """Features of n parts of an item, float32 [n, channels] for each level of its maps, or once for its tokens.

    Turned boxes are read as their hulls. A part that lies beside the image, or holds no token, has a row of NaN.

    Args:
        dense: maps of an image, or tokens of a text.
        parts: boxes in the image, or spans of the text; at least one.

    Raises:
        LearningError: the features are of another kind, or of an item that could not be read.
    """
    boxes = [part for part in parts if isinstance(part, Box)]
    if not boxes:
        return [_in_spans(dense, [part for part in parts if isinstance(part, Span)])]
    maps = unpack(dense)
    corners = hulls(boxes, maps.width / maps.height)
    return [_in_boxes(level.astype(np.float32), corners) for level in maps.levels]


def _in_boxes(level: Floats, corners: Floats) -> Floats:
    """The mean of a map [channels, rows, columns] in boxes of corners [n, 4] (left, top, right, bottom), shares of the image."""
    _, rows, columns = level.shape
    high, wide = _inside(corners[:, 1], corners[:, 3], rows), _inside(corners[:, 0], corners[:, 2], columns)
    return np.stack([(level @ across) @ down for across, down in zip(wide, high, strict=True)])


def _inside(starts: Floats, ends: Floats, cells: int) -> Floats:
    """How much of each of n stretches lies in each of so many equal cells of [0, 1], float32 [n, cells] that sum to 1; NaN: none."""
    edges = np.arange(cells + 1) / cells
    shared = np.minimum(ends[:, None], edges[1:]) - np.maximum(starts[:, None], edges[:-1])
    inside = np.clip(shared, 0, None)
    with np.errstate(invalid="ignore"):
        shares: Floats = (inside / inside.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def _in_spans(dense: Dense, spans: Sequence[Span]) -> Floats:
    tokens = unpack_tokens(dense)
    rows = np.full((len(spans), tokens.values.shape[1]), np.nan, dtype=np.float32)
    for row, span in zip(rows, spans, strict=True):
        inside = (tokens.starts < span.end) & (tokens.ends > span.start)
        if inside.any():
            row[:] = tokens.values[inside].mean(axis=0)
    return rows
