"""The door to fine-tuning models that write: a sequence-to-sequence model and answered texts in, a tuned one out."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.backbones import BackboneSpec, ResolvedBackbone, resolve_backbone
from labelloop.learning.backbones.torch_running import pick_device
from labelloop.learning.backbones.written_texts import digest_of, load_writer, write_taught, writer_folder
from labelloop.learning.holdout import assign_holdout
from labelloop.learning.tuning.checkpoints import Keeper, find_checkpoint
from labelloop.learning.tuning.fine_tuning import alone, plain_name, told
from labelloop.learning.tuning.options import TuneOptions
from labelloop.learning.tuning.records import Tuned
from labelloop.records import TextTarget

TEXT_OPTIONS: Final = TuneOptions(epochs=20, batch=16, at_once=8, backbone_rate=1e-4, patience=3)
"""The rate is between those that Marian's and T5's authors fine-tune at; texts are large, so few at once."""


@dataclass(frozen=True, slots=True)
class TextLesson:
    """What a model is taught to write.

    Attributes:
        items: n texts.
        targets: what people wrote in answer; the first text of each is learnt.
        validation_items: answered texts that decide when to stop, never trained on; none: a share of `items` is set aside.
        validation_targets: their answers.
    """

    items: Sequence[str]
    targets: Sequence[TextTarget]
    validation_items: Sequence[str] = ()
    validation_targets: Sequence[TextTarget] = ()


def why_not_texts(resolved: ResolvedBackbone) -> str:
    """Why the model that was found for a spec cannot be fine-tuned, one sentence; empty when it can."""
    if find_spec("transformers") is None:
        return "Fine-tuning needs torch and transformers, which are not installed; install labelloop[text]."
    if resolved.name == "plain":
        return "There is no model that writes to be fine-tuned; name a sequence-to-sequence model with weights."
    return ""


def fine_tune_texts(
    spec: BackboneSpec,
    lesson: TextLesson,
    folder: Path,
    options: TuneOptions | None = None,
    *,
    keeper: Keeper | None = None,
    give_way: Callable[[], bool] = lambda: False,
    on_progress: Callable[[int, int], None] = lambda done, planned: None,
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
        keeper: keeps a checkpoint, from which the same call goes on; clearing it is the caller's, once the result is safe.
        give_way: asked before each step; True: make a checkpoint and return None.
        on_progress: told of steps done and planned.

    Raises:
        LearningError: the model cannot be fine-tuned or loaded, or the device has too little memory for one text.
        NotEnoughLabels: fewer than two texts are answered.
        WeightsNotFound: the model's weights are not on this machine.
    """
    options = options or TEXT_OPTIONS
    start = resolve_backbone(spec)
    if reason := why_not_texts(start):
        raise LearningError(reason)
    lesson = _with_validation(lesson, options.validation_share)
    with alone(options):
        from labelloop.learning.tuning.trainer import Trainer
        from labelloop.learning.tuning.writing import Pairs, WritingSteps

        tokenizer, model = load_writer(writer_folder(spec, offline=True), pick_device(spec.device))
        train, validation = (
            Pairs.of(tokenizer, texts, [one.texts[0] for one in targets], np.array([one.weight for one in targets]))
            for texts, targets in (
                (lesson.items, lesson.targets),
                (lesson.validation_items, lesson.validation_targets),
            )
        )
        fingerprint = _fingerprint(start, lesson, options)
        trainer = Trainer(
            WritingSteps(model, tokenizer.pad_token_id or 0, train, options), validation, options, keeper, fingerprint
        )
        if (checkpoint := find_checkpoint(keeper, fingerprint)) is not None:
            trainer.resume(checkpoint)
        ending = trainer.run(give_way, on_progress)
        if ending is None:
            return None
        where = folder / f"{plain_name(start)}-tuned"
        trainer.take_best().save_pretrained(str(where), safe_serialization=True)
        tokenizer.save_pretrained(str(where))
    # Where nothing was gained the weights are the old ones, and have learnt from none of these.
    before = writer_folder(spec, offline=True)
    write_taught(where, lesson.items if trainer.standing.best else [], before)
    return told(spec, start, where, trainer.standing, ending, len(lesson.validation_items))


def _with_validation(lesson: TextLesson, share: float) -> TextLesson:
    """The lesson with validation items, a share of its own where it has none; equal texts stand on one side.

    Raises:
        LearningError: there are not as many targets as items.
        NotEnoughLabels: none are left to learn, or to decide when to stop.
    """
    for items, targets in ((lesson.items, lesson.targets), (lesson.validation_items, lesson.validation_targets)):
        if len(items) != len(targets):
            raise LearningError(f"There are {len(targets)} targets for {len(items)} texts to fine-tune on.")
    if not lesson.validation_items:
        keys = [digest_of(text) for text in lesson.items]
        # A share of few items rounds down to none, and without one there is nothing to stop by.
        held = assign_holdout(dict.fromkeys(keys, ""), {}, max(share, 1 / max(len(set(keys)), 1)))
        pairs = list(zip(keys, lesson.items, lesson.targets, strict=True))
        teach, aside = ([(i, t) for key, i, t in pairs if held[key] is side] for side in (False, True))
        lesson = TextLesson(*_parted(teach), *_parted(aside))
    if not lesson.items or not lesson.validation_items:
        raise NotEnoughLabels("Fine-tuning needs at least two different answered texts; answer more.")
    return lesson


def _parted(pairs: Sequence[tuple[str, TextTarget]]) -> tuple[list[str], list[TextTarget]]:
    return [text for text, _ in pairs], [target for _, target in pairs]


def _fingerprint(start: ResolvedBackbone, lesson: TextLesson, options: TuneOptions) -> str:
    """Names a fine-tuning: what is learnt from which texts and answers, from which weights on, and how."""
    said = [
        start.id,
        [
            [digest_of(text), list(target.texts), target.weight]
            for text, target in zip(lesson.items, lesson.targets, strict=True)
        ],
        [digest_of(text) for text in lesson.validation_items],
        [list(target.texts) for target in lesson.validation_targets],
        asdict(options),
    ]
    return sha256(json.dumps(said).encode()).hexdigest()
