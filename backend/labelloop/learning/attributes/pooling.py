"""What a backbone says of single regions: the mean of its maps inside a box or an area, of its tokens in a span."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.dense import Dense
from labelloop.learning.backbones.maps import unpack
from labelloop.learning.backbones.tokens import unpack_tokens
from labelloop.records import Box, Mask, Part, Span
from labelloop.records.geometry import hulls

# Pixels of an area that are looked at: of more, so many tell the mean of the cells that they lie in as well.
MOST_PIXELS: Final = 50_000


def pooled(dense: Dense, parts: Sequence[Part]) -> list[Floats]:
    """Features of n parts of an item, float32 [n, channels] for each level of its maps, or once for its tokens.

    Turned boxes are read as their hulls. A part that lies beside the image, or holds no pixel or token, has a row of NaN.

    Args:
        dense: maps of an image, or tokens of a text.
        parts: boxes in the image and areas of it, or spans of the text; at least one.

    Raises:
        LearningError: the features are of another kind, or of an item that could not be read.
    """
    spans = [part for part in parts if isinstance(part, Span)]
    if spans:
        return [_in_spans(dense, spans)]
    maps = unpack(dense)
    corners = hulls([part for part in parts if isinstance(part, Box)], maps.width / maps.height)
    middles = [_middles(part) for part in parts if isinstance(part, Mask)]
    # Boxes are read first, then areas; each goes back to its place.
    order = np.argsort(np.argsort([isinstance(part, Mask) for part in parts], kind="stable"))
    return [np.concatenate([_in_boxes(level, corners), _in_masks(level, middles)])[order] for level in maps.levels]


def _in_boxes(level: Floats, corners: Floats) -> Floats:
    """The mean of a map [channels, rows, columns] in boxes of corners [n, 4] (left, top, right, bottom), shares of the image."""
    channels, rows, columns = level.shape
    if not len(corners):
        return np.empty((0, channels), dtype=np.float32)
    values = level.astype(np.float32)
    high, wide = _inside(corners[:, 1], corners[:, 3], rows), _inside(corners[:, 0], corners[:, 2], columns)
    return np.stack([(values @ across) @ down for across, down in zip(wide, high, strict=True)])


def _in_masks(level: Floats, middles: Sequence[Floats]) -> Floats:
    """The mean of a map [channels, rows, columns] in n areas, over their pixels, each as the cell that its middle lies in."""
    channels, rows, columns = level.shape
    cells = level.reshape(channels, -1)
    found = np.full((len(middles), channels), np.nan, dtype=np.float32)
    for row, places in zip(found, middles, strict=True):
        down, across = (places * (rows, columns)).astype(np.int64).T
        touched, counts = np.unique(down * columns + across, return_counts=True)
        if touched.size:
            row[:] = cells[:, touched].astype(np.float32) @ (counts / counts.sum()).astype(np.float32)
    return found


def _middles(mask: Mask) -> Floats:
    """Where the middles of an area's pixels lie, float64 [pixels, 2], down and across, as shares of the image."""
    down, across = np.divmod(mask.pixels(MOST_PIXELS), max(mask.width, 1))
    middles: Floats = (np.stack([down, across], axis=1) + 0.5) / (max(mask.height, 1), max(mask.width, 1))
    return middles


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
