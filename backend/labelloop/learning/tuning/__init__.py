"""Fine-tuning: a backbone trained on a project's own labels, head and all, and kept as a backbone like any other.

Importing this is cheap; torch is loaded by `fine_tune`. The modules below it that need torch import it at their top and are
imported by functions alone.
"""

from labelloop.learning.tuning.box_tuning import BOX_OPTIONS, fine_tune_boxes, why_not_boxes
from labelloop.learning.tuning.checkpoints import CheckpointFile, Keeper
from labelloop.learning.tuning.conduct import Conduct
from labelloop.learning.tuning.fine_tuning import fine_tune, why_not
from labelloop.learning.tuning.mask_tuning import MASK_OPTIONS, fine_tune_masks, why_not_masks
from labelloop.learning.tuning.media import spec_of
from labelloop.learning.tuning.options import METHODS, TuneOptions
from labelloop.learning.tuning.records import EpochNote, Lesson, Tuned
from labelloop.learning.tuning.span_tuning import SPAN_OPTIONS, fine_tune_spans
from labelloop.learning.tuning.text_tuning import TEXT_OPTIONS, fine_tune_texts, why_not_texts
from labelloop.learning.tuning.tuners import TUNERS, Tuner

__all__ = [
    "BOX_OPTIONS",
    "MASK_OPTIONS",
    "METHODS",
    "SPAN_OPTIONS",
    "TEXT_OPTIONS",
    "TUNERS",
    "CheckpointFile",
    "Conduct",
    "EpochNote",
    "Keeper",
    "Lesson",
    "TuneOptions",
    "Tuned",
    "Tuner",
    "fine_tune",
    "fine_tune_boxes",
    "fine_tune_masks",
    "fine_tune_spans",
    "fine_tune_texts",
    "spec_of",
    "why_not",
    "why_not_boxes",
    "why_not_masks",
    "why_not_texts",
]
