"""The door to fine-tuning models that write: a sequence-to-sequence model and answered texts in, a tuned one out."""

from pathlib import Path
from typing import Final

import numpy as np

from labelloop.errors import LearningError
from labelloop.learning.backbones import BackboneSpec, Parts, ResolvedBackbone, resolve_backbone
from labelloop.learning.backbones.taught import digest_of, write_taught
from labelloop.learning.backbones.torch_running import pick_device
from labelloop.learning.backbones.written_texts import load_writer, writer_folder
from labelloop.learning.tuning.checkpoints import find_checkpoint, fingerprint_of
from labelloop.learning.tuning.conduct import BY_ITSELF, Conduct
from labelloop.learning.tuning.fine_tuning import alone, plain_name, told, without
from labelloop.learning.tuning.options import TuneOptions
from labelloop.learning.tuning.records import Lesson, Tuned
from labelloop.learning.tuning.splitting import with_validation

TEXT_OPTIONS: Final = TuneOptions(epochs=20, batch=16, at_once=8, backbone_rate=1e-4, patience=3)
"""The rate is between those that Marian's and T5's authors fine-tune at; texts are large, so few at once."""


def why_not_texts(spec: BackboneSpec, resolved: ResolvedBackbone) -> str:
    """Why the model that was found for a spec cannot be fine-tuned, one sentence; empty when it can."""
    if reason := without("transformers", "text"):
        return reason
    if spec.parts is not Parts.OUTPUT or resolved.name == "plain":
        return "There is no model that writes to be fine-tuned; name a sequence-to-sequence model with weights."
    return ""


def fine_tune_texts(
    spec: BackboneSpec,
    lesson: Lesson,
    folder: Path,
    options: TuneOptions | None = None,
    conduct: Conduct = BY_ITSELF,
) -> Tuned | None:
    """Train a model to write what people wrote, and keep it with a note of the texts it has learnt from.

    The epoch with the lowest loss on the validation items wins, and that may be the one before the first; loss and accuracy are
    of tokens, each given the right ones before it. The same lesson, options and number of threads give the same weights on a
    processor, also when it was killed in between and goes on from its checkpoint.

    Args:
        spec: the model to start from, with `Parts.OUTPUT`.
        lesson: what to learn.
        folder: where the tuned model is written, in a folder of its own.
        options: how; None: `TEXT_OPTIONS`. Its method, head, classes, augmentation and unlabelled items do not concern texts.
        conduct: what it gives way to, and where its checkpoint is kept.

    Raises:
        LearningError: the model cannot be fine-tuned or loaded, or the device has too little memory for one text.
        NotEnoughLabels: fewer than two texts are answered.
        WeightsNotFound: the model's weights are not on this machine.
    """
    options = options or TEXT_OPTIONS
    start = resolve_backbone(spec)
    if reason := why_not_texts(spec, start):
        raise LearningError(reason)
    lesson = with_validation(lesson, options.validation_share)
    with alone(options):
        from labelloop.learning.tuning.trainer import Trainer
        from labelloop.learning.tuning.writing import Pairs, WritingSteps

        tokenizer, model = load_writer(writer_folder(spec, offline=True), pick_device(spec.device), spec.languages)
        train, validation = (
            Pairs.of(
                tokenizer,
                [spec.prefix + str(text) for text in texts],
                [one.texts[0] for one in targets],
                np.array([one.weight for one in targets]),
            )
            for texts, targets in (
                (lesson.items, lesson.targets),
                (lesson.validation_items, lesson.validation_targets),
            )
        )
        fingerprint = _fingerprint(start, lesson, options)
        steps = WritingSteps(model, tokenizer.pad_token_id or 0, train, options)
        checkpoint = find_checkpoint(conduct.keeper, fingerprint)
        trainer = Trainer(steps, validation, options, conduct, fingerprint, checkpoint)
        ending = trainer.run()
        if ending is None:
            return None
        where = folder / f"{plain_name(start)}-tuned"
        trainer.take_best().save_pretrained(str(where), safe_serialization=True)
        tokenizer.save_pretrained(str(where))
    # Where nothing was gained the weights are the old ones, and have learnt from none of these.
    before = writer_folder(spec, offline=True)
    write_taught(where, lesson.items if trainer.standing.best else [], before)
    return told(spec, start, where, trainer.standing, ending, len(lesson.validation_items))


def _fingerprint(start: ResolvedBackbone, lesson: Lesson, options: TuneOptions) -> str:
    """Names a fine-tuning: what is learnt from which texts and answers, from which weights on, and how."""
    pairs = zip(map(digest_of, lesson.items), lesson.targets, strict=True)
    said = [
        start.id,
        [[digest, list(target.texts), target.weight] for digest, target in pairs],
        list(map(digest_of, lesson.validation_items)),
        [list(target.texts) for target in lesson.validation_targets],
    ]
    return fingerprint_of(said, options)
