"""From one area of each class to one for each of its pieces, where every region is asked about by itself."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from labelloop.labelstudio.outlines import least_piece
from labelloop.records import Mask, MasksPrediction, Prediction


def in_pieces(prediction: Prediction) -> Prediction:
    """A prediction of areas with one mask for each piece that hangs together, as polygons are drawn; any other as it is.

    Specks are left out. A person who answers a question about each region draws each thing as a region of its own; a learner of
    areas tells all things of a class at once.
    """
    if not isinstance(prediction, MasksPrediction):
        return prediction
    return replace(prediction, masks=tuple(piece for mask in prediction.masks for piece in _pieces(mask)))


def _pieces(mask: Mask) -> Iterator[Mask]:
    from scipy.ndimage import label

    numbered, count = label(mask.inside())
    flat = numbered.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=-1))
    ends, pieces = np.append(starts[1:], flat.size), flat[starts]
    order = np.argsort(pieces, kind="stable")
    bounds = np.searchsorted(pieces[order], np.arange(1, count + 2))
    least = least_piece(flat.size)
    for first, last in pairwise(bounds):
        runs = order[first:last]
        if (ends[runs] - starts[runs]).sum() >= least:
            edges = np.stack([starts[runs], ends[runs]], axis=1).ravel()
            yield replace(mask, runs=tuple(np.diff(edges, prepend=0, append=flat.size).tolist()))
