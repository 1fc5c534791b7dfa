"""The door to fine-tuning encoders for spans: an encoder and marked texts in, a tuned one out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.backbones import BackboneSpec, ResolvedBackbone, resolve_backbone
from labelloop.learning.backbones.sentence_texts import find_folder
from labelloop.learning.backbones.taught import write_taught
from labelloop.learning.backbones.token_windows import TokenEncoder
from labelloop.learning.backbones.torch_running import pick_device
from labelloop.learning.tuning.checkpoints import find_checkpoint, fingerprint_of
from labelloop.learning.tuning.conduct import BY_ITSELF, Conduct
from labelloop.learning.tuning.fine_tuning import alone, plain_name, told, why_not
from labelloop.learning.tuning.options import TuneOptions
from labelloop.learning.tuning.records import Lesson, Tuned
from labelloop.learning.tuning.splitting import with_validation
from labelloop.records import SpansTarget

if TYPE_CHECKING:
    from labelloop.learning.tuning.trainer import Trainer

SPAN_OPTIONS: Final = TuneOptions(epochs=20, batch=16, at_once=4, first_layer_share=0.3, balance=0.25, patience=4)
"""Texts hold many words, so fewer make a step; words outside all spans teach too, so classes are balanced less."""


def fine_tune_spans(
    spec: BackboneSpec,
    lesson: Lesson,
    folder: Path,
    options: TuneOptions | None = None,
    conduct: Conduct = BY_ITSELF,
) -> Tuned | None:
    """Train an encoder to tell the words of spans, and keep it with a note of the texts it has learnt from.

    The head is a linear one on the very features that the learner of spans reads of a word, fitted to them as they are first;
    the tags are the learner's, too: of overlapping spans the longest are learnt, and a text without a span teaches that there
    is none. The epoch with the lowest calibrated loss on the validation items wins (`judged`), and that may be the one before the
    first; loss and accuracy are of words. The same lesson, options and number of threads give the same weights on a processor, also when it
    was killed in between and goes on from its checkpoint.

    Args:
        spec: the encoder to start from, with `Parts.TOKENS`.
        lesson: what to learn; its targets are `SpansTarget`.
        folder: where the tuned encoder is written, in a folder of its own.
        options: how; None: `SPAN_OPTIONS`. Its augmentation hides pieces of words; method and unlabelled items do not concern spans.
        conduct: what it gives way to, and where its checkpoint is kept.

    Raises:
        LearningError: the encoder cannot be fine-tuned or loaded, or the device has too little memory for one text.
        NotEnoughLabels: no text has a span beside those that decide when to stop, or none is left to decide it.
        WeightsNotFound: the encoder is not on this machine.
    """
    options = options or SPAN_OPTIONS
    start = resolve_backbone(spec)
    if reason := why_not(spec, start):
        raise LearningError(reason)
    lesson = with_validation(lesson, options.validation_share)
    with alone(options):
        encoder = TokenEncoder(spec, pick_device(spec.device))
        trainer = _trainer(encoder, lesson, options, conduct, _fingerprint(start, lesson, options))
        ending = trainer.run()
        if ending is None:
            return None
        where = folder / f"{plain_name(start)}-tuned"
        trainer.take_best()
        encoder.model.save_pretrained(str(where), create_model_card=False, safe_serialization=True)
    # Where nothing was gained the weights are the old ones, and have learnt from none of these.
    taught = lesson.items if trainer.standing.best else []
    write_taught(where, taught, find_folder(spec.name, offline=True))
    return told(spec, start, where, trainer.standing, ending, len(lesson.validation_items))


def _trainer(
    encoder: TokenEncoder, lesson: Lesson, options: TuneOptions, conduct: Conduct, fingerprint: str
) -> "Trainer":
    from labelloop.learning.tuning.tagging import Excerpts, TaggingSteps
    from labelloop.learning.tuning.trainer import Trainer

    seen = _seen(lesson.targets, lesson.classes)
    train, validation = (
        Excerpts.of(encoder, items, targets, seen)
        for items, targets in (
            (lesson.items, lesson.targets),
            (lesson.validation_items, lesson.validation_targets),
        )
    )
    if not any(tags.any() for tags in train.targets) or not validation.targets:
        raise NotEnoughLabels(
            "Fine-tuning needs a text with a marked word beside the texts that decide when to stop; mark more."
        )
    steps = TaggingSteps(encoder, len(seen), train, options)
    checkpoint = find_checkpoint(conduct.keeper, fingerprint)
    if checkpoint is None:
        steps.start()
    return Trainer(steps, validation, options, conduct, fingerprint, checkpoint)


def _seen(targets: Sequence[SpansTarget], classes: Sequence[str]) -> list[str]:
    """The classes that have a span, in the config's order."""
    marked = {span.label for target in targets for span in target.spans}
    return [label for label in classes if label in marked]


def _fingerprint(start: ResolvedBackbone, lesson: Lesson, options: TuneOptions) -> str:
    """Names a fine-tuning: what is learnt from which texts and spans, from which weights on, and how."""
    said = [
        start.id,
        list(lesson.classes),
        [
            [str(item), target.weight, [(span.label, span.start, span.end) for span in target.spans]]
            for items, targets in (
                (lesson.items, lesson.targets),
                (lesson.validation_items, lesson.validation_targets),
            )
            for item, target in zip(items, targets, strict=True)
        ],
        len(lesson.items),
    ]
    return fingerprint_of(said, options)
