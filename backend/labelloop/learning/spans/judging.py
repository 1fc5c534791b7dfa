"""How good spans are: exact matches of class and ends, as seqeval counts them (Nakayama, 2018)."""

from collections.abc import Sequence

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.evaluation import Source
from labelloop.learning.figures import Figures
from labelloop.learning.intervals import f1, f1_interval
from labelloop.records import Span

Key = tuple[str, int, int]


def keys(spans: Sequence[Span]) -> set[Key]:
    """What makes two spans the same: class, first character, the one after the last."""
    return {(span.label, span.start, span.end) for span in spans}


def f1_of_each(said: Sequence[Sequence[Span]], right: Sequence[Sequence[Span]]) -> Floats:
    """The F1 of each item's spans, float64 [n] in [0, 1]."""
    counts = _counts([keys(spans) for spans in said], [keys(spans) for spans in right])
    return f1(*counts.T)


def entity_figures(said: Sequence[Sequence[Span]], right: Sequence[Sequence[Span]], source: Source) -> Figures:
    """Entity F1 over all spans of all items, with a 95 % interval, and precision, recall and F1 of each class.

    The interval is over items, at least as wide as that of as many spans; see `f1_interval`.

    Args:
        said: the spans found in n items.
        right: the spans that people marked in them; those that overlap others count too.
        source: where the items are from.
    """
    found, wanted = [keys(spans) for spans in said], [keys(spans) for spans in right]
    counts = _counts(found, wanted)
    names = sorted({key[0] for one in (*found, *wanted) for key in one})
    per_class = {name: _class_figures(name, found, wanted) for name in names}
    totals = counts.sum(axis=0)
    return Figures(
        items=len(said),
        name="entity F1",
        value=float(f1(*totals)),
        source=source,
        interval=f1_interval(counts, float(totals[1:].sum() / 2)),
        others={"precision": _share(totals[0], totals[1]), "recall": _share(totals[0], totals[2])},
        per_class=per_class,
    )


def _counts(found: Sequence[set[Key]], wanted: Sequence[set[Key]]) -> Floats:
    """Of each item the spans that are right, those found and those wanted, float64 [n, 3]."""
    rows = [(len(said & right), len(said), len(right)) for said, right in zip(found, wanted, strict=True)]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def _class_figures(name: str, found: Sequence[set[Key]], wanted: Sequence[set[Key]]) -> dict[str, float]:
    own = [[{key for key in one if key[0] == name} for one in side] for side in (found, wanted)]
    hits, said, right = _counts(*own).sum(axis=0).tolist()
    figures = {"precision": _share(hits, said), "recall": _share(hits, right)}
    return {**figures, "f1": float(f1(hits, said, right)), "spans": right}


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
