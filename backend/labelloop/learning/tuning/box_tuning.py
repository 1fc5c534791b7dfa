"""The door to fine-tuning detectors: images with the boxes that people drew in, a detector out."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.backbones import BackboneSpec, Parts, ResolvedBackbone, resolve_backbone
from labelloop.learning.backbones.detected_images import open_image
from labelloop.learning.backbones.detectors import save_detector
from labelloop.learning.backbones.taught import digest_of, write_taught
from labelloop.learning.backbones.torch_running import pick_device
from labelloop.learning.tuning.checkpoints import find_checkpoint, fingerprint_of
from labelloop.learning.tuning.conduct import BY_ITSELF, Conduct
from labelloop.learning.tuning.fine_tuning import alone, told, without
from labelloop.learning.tuning.options import TuneOptions
from labelloop.learning.tuning.records import Lesson, Tuned
from labelloop.learning.tuning.splitting import with_validation

if TYPE_CHECKING:
    from labelloop.learning.tuning.detector_start import Start

BOX_OPTIONS: Final = TuneOptions(epochs=60, batch=4, at_once=4, head_rate=1e-3, backbone_rate=3e-4, patience=8)
"""An image holds many examples, and what is new on the encoder starts from random numbers: small batches, so many steps."""


def why_not_boxes(_spec: BackboneSpec, _resolved: ResolvedBackbone) -> str:
    """Why no detector can be fine-tuned, one sentence; empty when one can."""
    return without("torchvision", "image")


def fine_tune_boxes(
    spec: BackboneSpec,
    lesson: Lesson,
    folder: Path,
    options: TuneOptions | None = None,
    conduct: Conduct = BY_ITSELF,
) -> Tuned | None:
    """Train a detector to find what people drew, and keep it with a note of the images it has learnt from.

    The epoch with the lowest loss on the validation images wins; accuracy is the share of what people drew in an image that is
    found. The same lesson, options and number of threads give the same weights on a processor, also when it was killed in between
    and goes on from its checkpoint.

    Args:
        spec: the backbone that the quick learner stands on; where it is a network, the detector's encoder starts from its weights.
        lesson: what to learn; boxes that people turned are learnt as their upright hulls, images without a box as such.
        folder: where the detector is written, in a folder of its own.
        options: how; None: `BOX_OPTIONS`. Method, balance and first layer do not concern boxes.
        conduct: what it gives way to, and where its checkpoint is kept.

    Raises:
        LearningError: there is no such detector, it cannot be loaded, or the device has too little memory for one image.
        NotEnoughLabels: fewer than two images are labelled, or none that is learnt from has a box.
        WeightsNotFound: weights that a person points to are not on this machine.
    """
    options = options or BOX_OPTIONS
    quick = resolve_backbone(spec)
    if reason := why_not_boxes(spec, quick):
        raise LearningError(reason)
    lesson = with_validation(lesson, options.validation_share)
    if not any(set(target.classes) & set(lesson.classes) for target in lesson.targets):
        raise NotEnoughLabels(f"None of the {len(lesson.items)} images to learn from has a box; draw one in an image.")
    with alone(options):
        from labelloop.learning.tuning.detecting import DetectionSteps, Detector, Drawn
        from labelloop.learning.tuning.detector_start import start_detector
        from labelloop.learning.tuning.shelves import Shelf
        from labelloop.learning.tuning.trainer import Trainer

        start = start_detector(spec, quick, lesson.classes, options.network)
        opened = _opener(start)
        train = Drawn(Shelf(lesson.items, opened), lesson.targets, lesson.classes)
        validation = Drawn(Shelf(lesson.validation_items, opened), lesson.validation_targets, lesson.classes)
        steps = DetectionSteps(Detector(start.network).to(pick_device(spec.device)), train, options)
        fingerprint = _fingerprint(start, quick, lesson, options)
        checkpoint = find_checkpoint(conduct.keeper, fingerprint)
        trainer = Trainer(steps, validation, options, conduct, fingerprint, checkpoint)
        ending = trainer.run()
        if ending is None:
            return None
        where = folder / f"{start.design.architecture}-tuned"
        save_detector(trainer.take_best().network, start.design, where)
    # Where nothing was gained the weights are the old ones, and have learnt from none of these.
    write_taught(where, lesson.items if trainer.standing.best else [], start.folder)
    found_by = replace(spec, parts=Parts.OUTPUT)
    named = replace(quick, name=start.design.architecture)
    return told(found_by, named, where, trainer.standing, ending, len(lesson.validation_items))


def _opener(start: "Start") -> Callable[[object], tuple[object, int] | None]:
    read = partial(open_image, start.design)

    def opened(item: object) -> tuple[object, int] | None:
        image = read(item)
        return None if image is None else (image, image.pixels.nbytes)

    return opened


def _fingerprint(start: "Start", quick: ResolvedBackbone, lesson: Lesson, options: TuneOptions) -> str:
    """Names a fine-tuning: what is learnt from which images and boxes, from which weights on, and how."""
    said = [
        quick.id,
        asdict(start.design),
        list(map(digest_of, lesson.items)),
        [[target.summary, target.weight] for target in lesson.targets],
        list(map(digest_of, lesson.validation_items)),
        [target.summary for target in lesson.validation_targets],
    ]
    return fingerprint_of(said, options)
