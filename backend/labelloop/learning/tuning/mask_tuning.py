"""The door to fine-tuning networks that tell areas: a backbone and marked images in, a tuned network out."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.backbones import BackboneSpec, ResolvedBackbone, resolve_backbone
from labelloop.learning.backbones.local_weights import write_state
from labelloop.learning.backbones.segmented_maps import Described, describe
from labelloop.learning.backbones.taught import write_taught
from labelloop.learning.backbones.torch_running import pick_device
from labelloop.learning.tuning.beginning import begin
from labelloop.learning.tuning.checkpoints import find_checkpoint, fingerprint_of
from labelloop.learning.tuning.conduct import BY_ITSELF, Conduct
from labelloop.learning.tuning.fine_tuning import alone, told, without
from labelloop.learning.tuning.media import WEIGHTS
from labelloop.learning.tuning.options import TuneOptions
from labelloop.learning.tuning.records import Lesson, Tuned
from labelloop.learning.tuning.splitting import with_validation

if TYPE_CHECKING:
    from labelloop.learning.tuning.marked import Marked
    from labelloop.learning.tuning.trainer import Trainer

MASK_OPTIONS: Final = TuneOptions(epochs=60, batch=2, at_once=2, head_rate=3e-3, patience=15)
"""Every place of an image teaches, so few images make a step, and some dozens of images many steps."""


def why_not_masks(_spec: BackboneSpec, resolved: ResolvedBackbone) -> str:
    """Why no network can be trained beside the backbone that was found, one sentence; empty when one can."""
    joined = "Joined backbones are not fine-tuned; set one of them." if resolved.blocks else ""
    return without("torchvision", "image") or joined


def fine_tune_masks(
    spec: BackboneSpec,
    lesson: Lesson,
    folder: Path,
    options: TuneOptions | None = None,
    conduct: Conduct = BY_ITSELF,
) -> Tuned | None:
    """Train a network to tell the areas that people marked, and keep it as a backbone that gives maps.

    The epoch with the lowest loss on the validation images wins; accuracy is the mean Dice coefficient of each image's areas.
    The same lesson, options and number of threads give the same weights on a processor, also when it was killed in between and
    goes on from its checkpoint.

    Args:
        spec: the quick backbone, with `Parts.MAP`; a U-Net starts from its weights, and from random ones where it has none.
        lesson: what to learn; an image without any area teaches where there is none.
        folder: where the tuned network is written, in a folder of its own.
        options: how; None: `MASK_OPTIONS`. Its method, balance and unlabelled items do not concern areas.
        conduct: what it gives way to, and where its checkpoint is kept.

    Raises:
        LearningError: there is no such network, it cannot be loaded, or the device has too little memory for one image.
        NotEnoughLabels: fewer than two images are labelled, or none of those it learns from has an area.
    """
    options = options or MASK_OPTIONS
    start = resolve_backbone(spec)
    if reason := why_not_masks(spec, start):
        raise LearningError(reason)
    lesson = with_validation(lesson, options.validation_share)
    if not any(mask.label in lesson.classes for target in lesson.targets for mask in target.masks):
        raise NotEnoughLabels("No image to be fine-tuned on has an area yet; mark one in an image.")
    with alone(options):
        from labelloop.learning.tuning.marked import side_for

        segmenter, described = begin(spec, options.network, lesson.classes, side_for(lesson.items))
        segmenter = segmenter.to(pick_device(spec.device))
        trainer = _trainer(segmenter, described, lesson, options, conduct, _fingerprint(start, lesson, options))
        ending = trainer.run()
        if ending is None:
            return None
        where = folder / f"{described.segmenter}-tuned"
        _save(trainer.take_best(), described, where)
        # Where nothing was gained the weights are the first ones, and have learnt from none of these.
        write_taught(where, lesson.items if trainer.standing.best else [], None)
    return told(
        spec, replace(start, name=described.segmenter), where, trainer.standing, ending, len(lesson.validation_items)
    )


def _trainer(
    segmenter: Any, described: Described, lesson: Lesson, options: TuneOptions, conduct: Conduct, fingerprint: str
) -> "Trainer":
    from labelloop.learning.backbones.segmenters import start_logits
    from labelloop.learning.tuning.marked import Marked
    from labelloop.learning.tuning.marking import MarkingSteps
    from labelloop.learning.tuning.trainer import Trainer

    train = Marked.of(lesson.items, lesson.targets, lesson.classes, described.side)
    validation = Marked.of(lesson.validation_items, lesson.validation_targets, lesson.classes, described.side)
    checkpoint = find_checkpoint(conduct.keeper, fingerprint)
    if checkpoint is None:
        start_logits(segmenter, _shares_of(train, options.at_once))
    steps = MarkingSteps(segmenter, described, train, options)
    return Trainer(steps, validation, options, conduct, fingerprint, checkpoint)


def _shares_of(train: "Marked", at_once: int) -> Any:
    """What share of the images is of each class; so many of them are open at once."""
    import torch

    rows = range(len(train.targets))
    parts = (train.shelf.take(rows[start : start + at_once]) for start in range(0, len(rows), at_once))
    read = [areas.float().mean(dim=(1, 2)) / 255 for part in parts for _, areas in filter(None, part)]
    if not read:
        raise LearningError("None of the images to be fine-tuned on can be read.")
    return torch.stack(read).mean(dim=0)


def _save(segmenter: Any, described: Described, where: Path) -> None:
    """Write the weights, and beside them what they are of."""
    write_state(segmenter, where / WEIGHTS)
    describe(where / WEIGHTS, described)


def _fingerprint(start: ResolvedBackbone, lesson: Lesson, options: TuneOptions) -> str:
    """Names a fine-tuning: what is learnt from which areas, from which weights on, and how."""
    said = [
        start.id,
        list(lesson.classes),
        [
            [target.weight, [[mask.label, mask.height, mask.width, list(mask.runs)] for mask in target.masks]]
            for targets in (lesson.targets, lesson.validation_targets)
            for target in targets
        ],
    ]
    return fingerprint_of(said, options)
