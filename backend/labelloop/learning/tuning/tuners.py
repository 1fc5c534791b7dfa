"""How the networks of each kind of control are fine-tuned."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from labelloop.learning.backbones import BackboneSpec, Parts, ResolvedBackbone
from labelloop.learning.tuning.box_tuning import BOX_OPTIONS, fine_tune_boxes, why_not_boxes
from labelloop.learning.tuning.conduct import Conduct
from labelloop.learning.tuning.fine_tuning import fine_tune, why_not
from labelloop.learning.tuning.mask_tuning import MASK_OPTIONS, fine_tune_masks, why_not_masks
from labelloop.learning.tuning.options import TuneOptions
from labelloop.learning.tuning.records import Lesson, Tuned
from labelloop.learning.tuning.span_tuning import SPAN_OPTIONS, fine_tune_spans
from labelloop.learning.tuning.text_tuning import TEXT_OPTIONS, fine_tune_texts, why_not_texts
from labelloop.records import Kind


class FineTune(Protocol):
    """Trains a network on labelled items and keeps it; see `fine_tune`."""

    def __call__(
        self,
        spec: BackboneSpec,
        lesson: Lesson,
        folder: Path,
        options: TuneOptions | None = None,
        conduct: Conduct = ...,
    ) -> Tuned | None:
        """Train, and keep; None where it gave way, with a checkpoint left behind."""
        ...


@dataclass(frozen=True, slots=True)
class Tuner:
    """How networks are fine-tuned for one kind of control.

    Attributes:
        why_not: why the backbone that was found for a spec cannot be fine-tuned, one sentence; empty when it can.
        fine_tune: does it, from the backbone that the control's quick learner stands on.
        options: how, unless a person says otherwise.
        parts: the parts that what comes of it gives features of.
        unlabelled: there are methods that learn from unlabelled items too.
    """

    why_not: Callable[[BackboneSpec, ResolvedBackbone], str]
    fine_tune: FineTune
    options: TuneOptions
    parts: Parts
    unlabelled: bool = False

    def asked_for(self, method: str, network: str, *, seconds: float) -> TuneOptions:
        """The options by a method, which is left out where there is but one, for a network and within a budget."""
        method = method if self.unlabelled else self.options.method
        return replace(self.options, method=method, network=network or self.options.network, seconds=seconds)


_CLASSES: Final = Tuner(why_not, fine_tune, TuneOptions(), Parts.NONE, unlabelled=True)

TUNERS: Final[Mapping[Kind, Tuner]] = {
    Kind.CLASS: _CLASSES,
    Kind.RATING: _CLASSES,
    Kind.SET: replace(_CLASSES, unlabelled=False),
    Kind.BOXES: Tuner(why_not_boxes, fine_tune_boxes, BOX_OPTIONS, Parts.OUTPUT),
    Kind.MASKS: Tuner(why_not_masks, fine_tune_masks, MASK_OPTIONS, Parts.MAP),
    Kind.SPANS: Tuner(why_not, fine_tune_spans, SPAN_OPTIONS, Parts.TOKENS),
    Kind.TEXT: Tuner(why_not_texts, fine_tune_texts, TEXT_OPTIONS, Parts.OUTPUT),
}
