"""The door to fine-tuning: a backbone and labelled items in, a tuned backbone out."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.arrays import Floats
from labelloop.learning.backbones import BackboneSpec, ResolvedBackbone, resolve_backbone
from labelloop.learning.backbones.torch_running import draws_apart
from labelloop.learning.tuning.checkpoints import find_checkpoint, fingerprint_of
from labelloop.learning.tuning.conduct import BY_ITSELF, Conduct
from labelloop.learning.tuning.media import Medium, open_medium, spec_of
from labelloop.learning.tuning.options import TuneOptions
from labelloop.learning.tuning.records import Ending, Lesson, Tuned
from labelloop.learning.tuning.splitting import Split, split
from labelloop.records import Modality

if TYPE_CHECKING:
    from labelloop.learning.tuning.criteria import Criterion
    from labelloop.learning.tuning.model import Model
    from labelloop.learning.tuning.standing import Standing
    from labelloop.learning.tuning.steps import Labelled
    from labelloop.learning.tuning.trainer import Trainer

logger = logging.getLogger(__name__)

_LIBRARY = {Modality.IMAGE: ("torchvision", "image"), Modality.TEXT: ("sentence_transformers", "text")}


def why_not(spec: BackboneSpec, resolved: ResolvedBackbone) -> str:
    """Why the backbone that was found for a spec cannot be fine-tuned, one sentence; empty when it can."""
    if reason := without(*_LIBRARY[spec.modality]):
        return reason
    if resolved.blocks:
        return "Joined backbones are not fine-tuned; set one of them."
    if resolved.name == "plain":
        return "Plain features come from no network, so there is nothing to fine-tune; set a backbone with weights."
    return ""


def without(library: str, extra: str) -> str:
    """Why nothing can be fine-tuned without a library, one sentence; empty when it is installed."""
    if find_spec(library) is not None:
        return ""
    return f"Fine-tuning needs torch and {library}, which are not installed; install labelloop[{extra}]."


def fine_tune(
    spec: BackboneSpec,
    lesson: Lesson,
    folder: Path,
    options: TuneOptions | None = None,
    conduct: Conduct = BY_ITSELF,
) -> Tuned | None:
    """Train a backbone and a head together, and keep the backbone.

    The head is fitted to the features as they are first (Kumar et al., 2022); the epoch with the lowest calibrated loss on the
    validation items wins (`judged`), and that may be the one before the first. The same lesson, options and number of threads
    give the same weights on a processor, also when it was killed in between and goes on from its checkpoint.

    Args:
        spec: the backbone to start from.
        lesson: what to learn.
        folder: where the tuned backbone is written, in a folder of its own.
        options: how; None: the defaults.
        conduct: what it gives way to, and where its checkpoint is kept.

    Raises:
        LearningError: the backbone cannot be fine-tuned or loaded, or the device has too little memory for one item.
        NotEnoughLabels: all usable labels say the same, or no item is left to decide when to stop.
        WeightsNotFound: the backbone's weights are not on this machine.
    """
    options = options or TuneOptions()
    start = resolve_backbone(spec)
    if reason := why_not(spec, start):
        raise LearningError(reason)
    parts = split(lesson, options)
    with alone(options):
        medium = open_medium(spec, flip=options.flip)
        trainer = _trainer(medium, parts, lesson, options, conduct, _fingerprint(start, parts, lesson, options))
        ending = trainer.run()
        if ending is None:
            return None
        model: Model = trainer.take_best()
        where = folder / f"{plain_name(start)}-tuned"
        medium.save(model.network, where)
    return told(spec, start, where, trainer.standing, ending, len(parts.validation_targets))


def told(
    spec: BackboneSpec, start: ResolvedBackbone, where: Path, standing: "Standing", ending: Ending, validation: int
) -> Tuned:
    """What came of a fine-tuning whose result lies in a folder.

    Args:
        spec: the backbone asked for.
        start: what it was before.
        where: the folder.
        standing: how far it went.
        ending: why it ended.
        validation: items that decided it.
    """
    tuned_as = spec_of(spec, where)
    found = replace(resolve_backbone(tuned_as), name=f"{plain_name(start)}, fine-tuned")
    tuned = Tuned(found, tuned_as, where, tuple(standing.epochs), standing.best, ending, validation, standing.seconds)
    logger.info("%s", tuned)
    return tuned


@contextmanager
def alone(options: TuneOptions) -> Iterator[None]:
    """Draws and threads of one's own; those of the caller are as they were afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(options.threads or max(1, (os.cpu_count() or 1) // 2))
    try:
        with draws_apart():
            torch.manual_seed(options.seed)
            yield
    finally:
        torch.set_num_threads(before)


def _trainer(
    medium: Medium, parts: Split, lesson: Lesson, options: TuneOptions, conduct: Conduct, fingerprint: str
) -> "Trainer":
    from labelloop.learning.tuning.criteria import criterion_of
    from labelloop.learning.tuning.model import Model
    from labelloop.learning.tuning.shelves import Shelf
    from labelloop.learning.tuning.steps import Labelled, Steps
    from labelloop.learning.tuning.trainer import Trainer

    model = Model(medium.network, medium.dim, len(lesson.classes)).to(medium.device)
    criterion = criterion_of(lesson.targets)
    balanced = criterion.balanced(parts.targets, options.balance)
    train = Labelled(Shelf(parts.items, medium.open), parts.targets, parts.weights * balanced)
    validation = Labelled(
        Shelf(parts.validation_items, medium.open), parts.validation_targets, parts.validation_weights
    )
    checkpoint = find_checkpoint(conduct.keeper, fingerprint)
    if checkpoint is None:
        _start(medium, model, train, parts.features, options.at_once, criterion)
    steps = Steps(medium, model, train, Shelf(lesson.unlabelled, medium.open), options, criterion)
    return Trainer(steps, validation, options, conduct, fingerprint, checkpoint)


def _start(
    medium: Medium,
    model: "Model",
    train: "Labelled",
    features: Floats | None,
    at_once: int,
    criterion: "Criterion",
) -> None:
    """Fit the head to the backbone as it is."""
    import torch

    from labelloop.learning.tuning.model import start_head

    rows = features if features is not None else _embed(medium, train, at_once)
    known = np.isfinite(rows).all(axis=1)
    if not known.any():
        raise LearningError("None of the items to be fine-tuned on can be read.")
    weights = train.weights[known]
    start_head(
        model,
        rows[known],
        torch.from_numpy(train.targets[known]),
        torch.from_numpy((weights / max(float(weights.mean()), 1e-12)).astype(np.float32)),
        criterion,
    )


def _embed(medium: Medium, items: "Labelled", at_once: int) -> Floats:
    """Features float32 [n, d] of the backbone as it is; NaN for an item that cannot be read."""
    import torch

    features = np.full((len(items.targets), medium.dim), np.nan, dtype=np.float32)
    medium.network.eval()
    for start in range(0, len(features), at_once):
        rows = range(start, min(start + at_once, len(features)))
        opened = {row: item for row, item in zip(rows, items.shelf.take(rows), strict=True) if item is not None}
        if opened:
            with torch.no_grad():
                answer = medium.network(medium.batch(list(opened.values()), "plain"))
            features[list(opened)] = answer.float().cpu().numpy()
    return features


def _fingerprint(start: ResolvedBackbone, parts: Split, lesson: Lesson, options: TuneOptions) -> str:
    """Names a fine-tuning: what is learnt from how many items, with which labels, from which weights on, and how."""
    said = [
        start.id,
        list(lesson.classes),
        parts.targets.tolist(),
        parts.weights.tolist(),
        parts.validation_targets.tolist(),
        len(lesson.unlabelled),
    ]
    return fingerprint_of(said, options)


def plain_name(backbone: ResolvedBackbone) -> str:
    """What a backbone is called before it is fine-tuned."""
    return backbone.name.removesuffix(", fine-tuned").removesuffix("-tuned")
