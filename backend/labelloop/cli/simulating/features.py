"""From a data set to what a simulation plays on: features, computed once and kept, and what preparation says."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labelloop.cli.simulating.source import Source
from labelloop.errors import DataSetError
from labelloop.learning import Backbone, BackboneSpec, ResolvedBackbone, load_backbone
from labelloop.learning.arrays import Bools, Floats
from labelloop.learning.preparation import Finding, examine
from labelloop.learning.simulation import LabelledData
from labelloop.service.features import Features, content_key
from labelloop.service.store import Store

CHUNK = 256
MISSING = "missing"
OnEmbedded = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A data set that can be played on.

    Attributes:
        data: the items that are kept.
        findings: what was wrong with the rest.
        contents: digest of each kept item's content.
    """

    data: LabelledData
    findings: tuple[Finding, ...]
    contents: tuple[str, ...]


def prepare(
    source: Source, spec: BackboneSpec, backbone: ResolvedBackbone, cache: Path, on_embedded: OnEmbedded
) -> Prepared:
    """Embed a data set and leave out what cannot be used.

    Args:
        source: the data set.
        spec: the backbone as asked for.
        backbone: the backbone as found.
        cache: folder of features that were computed before.
        on_embedded: told how many items are done.

    Raises:
        DataSetError: no item can be read, or what can be used is of fewer than two classes.
        LearningError: the backbone cannot be loaded.
    """
    contents, features = _embed(source, spec, backbone, cache, on_embedded)
    if not np.isfinite(features).all(axis=1).any():
        raise DataSetError(
            f"None of the {len(contents):,} items of {source.name} can be read; are its files where it says?"
        )
    held_out = None if source.test is None else np.array(source.test, dtype=bool)
    found = examine(contents, source.labels, features, source.classes, held_out=held_out, ids=source.ids)
    rows = np.flatnonzero(found.kept)
    if len({found.labels[row] for row in rows}) < 2:
        why = " ".join(finding.found for finding in found.findings)
        raise DataSetError(f"What can be used of {source.name} is of fewer than two classes: {why}")
    place = {int(row): number for number, row in enumerate(rows)}
    # A group is named by its first item, which may have been left out; then by the first that was not.
    first: dict[int, int] = {}
    groups = [first.setdefault(int(found.groups[row]), place[int(row)]) for row in rows]
    data = LabelledData(
        features[rows],
        tuple(found.labels[row] for row in rows),
        tuple(label for label in source.classes if label in {found.labels[row] for row in rows}),
        tuple(source.ids[row] for row in rows),
        np.array(groups, dtype=np.int64),
        None if held_out is None else held_out[rows],
        None if source.history is None else np.argsort(np.argsort(np.array(source.history), kind="stable"))[rows],
    )
    return Prepared(data, found.findings, tuple(contents[row] for row in rows))


def _embed(
    source: Source, spec: BackboneSpec, resolved: ResolvedBackbone, cache: Path, on_embedded: OnEmbedded
) -> tuple[list[str], Floats]:
    """Digest of each content, empty for an empty one, `MISSING` for none, and features [n, dim]; NaN where there are none."""
    kept = Features(Store(str(cache)), "simulate", resolved.id, cache)
    loaded: list[Backbone] = []
    digests: list[str] = []
    features = np.full((len(source.ids), resolved.dim), np.nan, dtype=np.float32)
    for start in range(0, len(source.ids), CHUNK):
        rows = range(start, min(start + CHUNK, len(source.ids)))
        read = {row: source.read(row) for row in rows}
        chunk = {row: content for row, content in read.items() if content and content.strip()}
        keys = {row: content_key(content) for row, content in chunk.items()}
        digests += [keys.get(row, MISSING if content is None else "") for row, content in read.items()]
        here = dict(zip(chunk, kept.get(list(keys.values()))[1].tolist(), strict=True)) if chunk else {}
        missing = [row for row in chunk if not here[row]]
        if missing:
            loaded = loaded or [load_backbone(spec, resolved)]
            made = loaded[0].embed([chunk[row] for row in missing])  # type: ignore[arg-type]
            good: Bools = np.asarray(np.isfinite(made).all(axis=1))
            named = [keys[row] for row, whole in zip(missing, good, strict=True) if whole]
            kept.add(named, named, made[good])
        if chunk:
            matrix, found = kept.get(list(keys.values()))
            features[np.array(list(chunk))[found]] = matrix
        on_embedded(rows.stop)
    return digests, features
