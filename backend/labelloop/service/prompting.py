"""What a model answers to what an annotator has just drawn: its own regions there, or the same words elsewhere."""

import math
from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labelloop.labelstudio.codecs.spans import marked_text
from labelloop.labelstudio.prompts import Prompts
from labelloop.learning.words import torn, words
from labelloop.records import (
    Box,
    BoxesPrediction,
    Control,
    Mask,
    MasksPrediction,
    Prediction,
    Span,
    SpansPrediction,
)

# Confidence in a stretch that the model did not mark itself: the annotator marked the same words.
REPEATED: Final = 0.5


def answer_prompts(control: Control, prediction: Prediction, prompts: Prompts, value: object) -> Prediction | None:
    """What to propose for a control.

    Args:
        control: whose.
        prediction: what the model says of the whole item, which could so be read.
        prompts: what was drawn about the control's object.
        value: what the task's data holds under the control's key.

    Returns:
        The prediction less what was not asked about; None for a control whose answers are not parts of an item, lest an
        annotator's own answer be replaced.
    """
    if isinstance(prediction, BoxesPrediction):
        found = [
            _named(control, prompt, box) for prompt in prompts.boxes for box in prediction.boxes if _meets(prompt, box)
        ]
        return replace(prediction, boxes=tuple(dict.fromkeys(found)))
    if isinstance(prediction, MasksPrediction):
        areas = [area for prompt in prompts.boxes for area in _areas(control, prediction.masks, prompt)]
        return replace(prediction, masks=tuple(areas))
    if isinstance(prediction, SpansPrediction):
        return replace(prediction, spans=_repeated(control, prediction, prompts.spans, marked_text(control, value)))
    return None


def _named(control: Control, prompt: Box, box: Box) -> Box:
    """The box under the label that the annotator chose."""
    return replace(box, label=prompt.label) if prompt.label in control.labels else box


def _meets(prompt: Box, box: Box) -> bool:
    """Whether a box has its centre in the one drawn, or holds the point set."""
    outer, inner = (prompt, box) if prompt.width > 0 or prompt.height > 0 else (box, prompt)
    x, y = inner.x + inner.width / 2, inner.y + inner.height / 2
    return outer.x <= x <= outer.x + outer.width and outer.y <= y <= outer.y + outer.height


def _areas(control: Control, masks: Sequence[Mask], prompt: Box) -> list[Mask]:
    """What the model takes for the label asked for, any where the control lacks it, in the box drawn or around the point set."""
    wanted = [mask for mask in masks if prompt.label == mask.label or prompt.label not in control.labels]
    found = ((mask, _within(mask.inside(), prompt)) for mask in wanted)
    return [Mask.of(mask.label, inside, mask.score) for mask, inside in found if inside.any()]


def _within(inside: NDArray[np.bool_], prompt: Box) -> NDArray[np.bool_]:
    height, width = inside.shape
    top, left = int(_held(prompt.y) * height), int(_held(prompt.x) * width)
    if prompt.width == 0 and prompt.height == 0:
        return _connected(inside, min(top, height - 1), min(left, width - 1))
    bottom, right = _held(prompt.y + prompt.height) * height, _held(prompt.x + prompt.width) * width
    kept = np.zeros_like(inside)
    there = slice(top, math.ceil(bottom)), slice(left, math.ceil(right))
    kept[there] = inside[there]
    return kept


def _held(share: float) -> float:
    """A place in the image, of one that may lie beyond it."""
    return min(max(share, 0.0), 1.0)


def _connected(inside: NDArray[np.bool_], row: int, column: int) -> NDArray[np.bool_]:
    """The part of an area that hangs together with one pixel."""
    from scipy.ndimage import label

    parts, _ = label(inside)
    same: NDArray[np.bool_] = (parts == parts[row, column]) & inside[row, column]
    return same


def _repeated(control: Control, prediction: SpansPrediction, marked: Sequence[Span], text: str) -> tuple[Span, ...]:
    """The marked words wherever else they stand, each as a whole, and nowhere twice."""
    scores = {(span.label, span.start, span.end): span.score for span in prediction.spans}
    taken, found = np.zeros(len(text), dtype=np.bool_), []
    for span in marked:
        taken[span.start : span.end] = True
    places = words(text)
    starts, ends = {start for start, _ in places}, {end for _, end in places}
    # What is marked a hundred times is looked for once.
    for label, said in dict.fromkeys((span.label, _said(span, text)) for span in marked):
        for start, end in _whole(said, text, starts, ends) if label in control.labels else ():
            if not taken[start:end].any():
                taken[start:end] = True
                found.append(Span(label, start, end, scores.get((label, start, end), REPEATED)))
    return tuple(found)


def _said(span: Span, text: str) -> tuple[str, tuple[bool, bool]]:
    """The words of a span, and where they are parts of something longer; see `torn`."""
    said = text[span.start : span.end].strip()
    first = text.find(said, span.start)
    return said, torn(text, first, first + len(said)) if said else (False, False)


def _whole(
    said: tuple[str, tuple[bool, bool]], text: str, starts: Set[int], ends: Set[int]
) -> Iterator[tuple[int, int]]:
    """Where the words of a span stand in a text from the start of a word to the end of one; nowhere where they are none.

    They are no part of anything longer there, unless the span is, too, as the article in `l'eau` is.
    """
    marked, allowed = said
    start = text.find(marked) if marked else -1
    while start >= 0:
        end = start + len(marked)
        if start in starts and end in ends:
            sides = zip(torn(text, start, end), allowed, strict=True)
            if all(may_be or not is_torn for is_torn, may_be in sides):
                yield start, end
        start = text.find(marked, start + 1)
