"""Between areas of pixels and the polygons around them.

A pixel is inside a polygon when its middle is; where a polygon crosses itself, what it winds around is inside, as the editor
shows it. Outlines follow the edges of pixels, so an outline that is not simplified gives back the very area.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from labelloop.records import Mask

Inside = NDArray[np.bool_]
Points = NDArray[np.float64]

# Pieces and holes of less than this share of the image, or of fewer pixels, are specks and not drawn.
SPECK: Final = 1e-4
SPECK_PIXELS: Final = 4
# How far a simplified outline may be from the true one: a share of the image's longer side and at least a pixel, but of a
# small piece no more than a twelfth of its size.
TOLERANCE: Final = 1 / 500
_FINEST: Final = 12
# Points are taken to a 64th of a pixel, which takes away what rounding adds when the editor saves percent.
_GRAIN: Final = 64
# Right, down, left, up.
_STEPS: Final = ((0, 1), (1, 0), (0, -1), (-1, 0))


def fill(points: Points, height: int, width: int) -> Mask:
    """The pixels inside a polygon, as a mask of no class.

    Args:
        points: [n, 2], x and y in pixels from the image's upper left corner.
        height: of the image.
        width: of the image.
    """
    corners = np.rint(points * _GRAIN) / _GRAIN
    left, top = (int(max(least, 0)) for least in np.floor(corners.min(axis=0)))
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)), (width, height)).astype(int).tolist()
    inside = _wound(corners - (left, top), max(bottom - top, 0), max(right - left, 0))
    return Mask.of("", inside, corner=(top, left), size=(height, width))


def _wound(corners: Points, height: int, width: int) -> Inside:
    """The pixels that a polygon winds around, bool [height, width]."""
    (x, y), (to_x, to_y) = corners.T, np.roll(corners, -1, axis=0).T
    ends = np.stack([np.minimum(y, to_y), np.maximum(y, to_y)])
    first, last = np.clip(np.ceil(ends - 0.5), 0, height).astype(int)
    # Of each row of each edge: where it is crossed, and which way.
    edge = np.repeat(np.arange(len(corners)), last - first)
    rows = np.arange(edge.size) - (np.cumsum(last - first) - last)[edge]
    crossed = x[edge] + (rows + 0.5 - y[edge]) * (to_x - x)[edge] / (to_y - y)[edge]
    columns = np.clip(np.ceil(crossed - 0.5), 0, width).astype(int)
    turns = np.zeros((height, width + 1), dtype=np.int32)
    np.add.at(turns, (rows, columns), np.where(to_y > y, 1, -1)[edge])
    inside: Inside = np.cumsum(turns, axis=1, out=turns)[:, :width] != 0
    return inside


def outlines(inside: Inside) -> list[Points]:
    """A polygon around each piece of an area, [n, 2] in pixels; pieces that touch at a corner only are two.

    A polygon has no holes, so the outline runs to each hole, around it, and back the same way: what is inside is right.
    Specks are left out, and the outline is simplified.
    """
    least = least_piece(inside.size)
    loops = [(loop, area) for loop in _loops(inside) if abs(area := _area(loop)) >= least]
    tolerance = max(1.0, TOLERANCE * max(inside.shape))
    pieces = sorted(((area, loop) for loop, area in loops if area > 0), key=lambda piece: piece[0])
    holes: list[list[Points]] = [[] for _ in pieces]
    for loop, area in loops:
        if area < 0:
            holes[_around(loop, [piece for _, piece in pieces])].append(_simplified(loop, tolerance))
    joined = [_joined(_simplified(loop, tolerance), own) for (_, loop), own in zip(pieces, holes, strict=True)]
    return sorted(joined, key=lambda points: (points[0, 1], points[0, 0]))


def least_piece(pixels: int) -> float:
    """Pixels of the smallest piece that is drawn in an image of so many."""
    return max(SPECK_PIXELS, SPECK * pixels)


def _loops(inside: Inside) -> list[Points]:
    """The edges of the area, joined where they meet: the area is on the right, so loops around pieces run clockwise."""
    padded = np.pad(inside, 1)
    here = padded[1:, 1:], padded[1:, :-1], padded[:-1, :-1], padded[:-1, 1:]
    # From a corner an edge leads right when the pixel below it is inside and the one above is not, and so on around.
    leads = np.stack([here[0] & ~here[3], here[1] & ~here[0], here[2] & ~here[1], here[3] & ~here[2]])
    loops = []
    for direction, row, column in np.argwhere(leads[:1]).tolist():
        if leads[direction, row, column]:
            loops.append(_followed(leads, direction, row, column))
    return loops


def _followed(leads: NDArray[np.bool_], direction: int, row: int, column: int) -> Points:
    """One loop, of its corners alone; its edges are taken away."""
    corners, before = [], -1
    while leads[direction, row, column]:
        leads[direction, row, column] = False
        if direction != before:
            corners.append((column, row))
        row, column = row + _STEPS[direction][0], column + _STEPS[direction][1]
        before = direction
        # Where two pieces touch at a corner, turning right stays with the own one.
        for turn in (1, 0, 3):
            if leads[(before + turn) % 4, row, column]:
                direction = (before + turn) % 4
                break
    return np.array(corners, dtype=np.float64)


def _area(loop: Points) -> float:
    """The area a loop runs around: more than 0 for clockwise, as seen on a screen."""
    x, y = loop.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _around(hole: Points, pieces: list[Points]) -> int:
    """The number of the smallest piece that a hole lies in, pieces being in order of their size."""
    # The middle of a pixel of the piece beside the hole's first edge, which leads right above it.
    x, y = hole[0] + 0.5
    for number, piece in enumerate(pieces):
        (from_x, from_y), (to_x, to_y) = piece.T, np.roll(piece, -1, axis=0).T
        upright = (from_x == to_x) & (from_x > x)
        if int(((from_y > y) != (to_y > y))[upright].sum()) % 2:
            return number
    return len(pieces) - 1


def _simplified(loop: Points, tolerance: float) -> Points:
    """Fewer points, no further than the tolerance from the rest (Douglas and Peucker, 1973)."""
    near = min(tolerance, abs(_area(loop)) ** 0.5 / _FINEST)
    far = int(np.argmax(((loop - loop[0]) ** 2).sum(axis=1)))
    halves = loop[: far + 1], np.concatenate([loop[far:], loop[:1]])
    kept = np.concatenate([half[_kept(half, near)][:-1] for half in halves])
    return kept if len(kept) > 2 and abs(_area(kept)) > abs(_area(loop)) / 2 else loop


def _kept(line: Points, near: float) -> NDArray[np.intp]:
    keep = np.zeros(len(line), dtype=bool)
    keep[[0, -1]] = True
    spans = [(0, len(line) - 1)]
    while spans:
        start, end = spans.pop()
        if end - start < 2:
            continue
        away = _distances(line[start + 1 : end], line[start], line[end])
        furthest = int(away.argmax())
        if away[furthest] > near:
            middle = start + 1 + furthest
            keep[middle] = True
            spans += [(start, middle), (middle, end)]
    return np.flatnonzero(keep)


def _distances(points: Points, start: Points, end: Points) -> NDArray[np.float64]:
    along = end - start
    length = float(np.hypot(*along))
    away = points - start
    if length == 0:
        return np.hypot(away[:, 0], away[:, 1])
    distances: NDArray[np.float64] = np.abs(along[0] * away[:, 1] - along[1] * away[:, 0]) / length
    return distances


def _joined(piece: Points, holes: list[Points]) -> Points:
    """One outline: each hole is run around from its point nearest to the outline so far."""
    for hole in holes:
        apart = ((piece[:, None] - hole) ** 2).sum(axis=2)
        at, to = np.unravel_index(int(apart.argmin()), apart.shape)
        round_trip = np.concatenate([np.roll(hole, -int(to), axis=0), hole[int(to)][None], piece[int(at)][None]])
        piece = np.insert(piece, int(at) + 1, round_trip, axis=0)
    return piece
