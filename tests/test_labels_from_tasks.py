"""Regions whose labels come from each task's data: those that people used are learnt, those a task offers are shown."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from label_studio_sdk.label_interface import LabelInterface

from labelloop.labelstudio import codec_for, parse_label_config, prediction_json, showable, with_used_labels
from labelloop.records import (
    Box,
    BoxesPrediction,
    BoxesTarget,
    Control,
    Mask,
    MasksPrediction,
    Prediction,
    Span,
    SpansPrediction,
)

OFFERED = [{"value": "cat"}, {"value": "Hund", "alias": "dog", "background": "red"}]
USED = ("cat", "dog", "emu")
OBJECTS = {
    "Labels": '<Text name="o" value="$d"/>',
    "HyperTextLabels": '<HyperText name="o" value="$d"/>',
    "ParagraphLabels": '<Paragraphs name="o" value="$d"/>',
}
TALK = [{"author": "A", "text": "Anna is here"}]
AREA = np.ones((20, 30), dtype=bool)
SAID: dict[str, Any] = {
    "RectangleLabels": BoxesPrediction(
        tuple(Box(c, 0.1, 0.1, 0.5, 0.5) for c in ("cat", "emu", "dog")), 0.9, 0.1, 20, 30
    ),
    "BrushLabels": MasksPrediction(tuple(Mask.of(c, AREA) for c in ("cat", "emu", "dog")), 0.9, 0.1),
    "Labels": SpansPrediction(tuple(Span(c, 0, 4) for c in ("cat", "emu", "dog")), 0.9, 0.1),
}
SAID |= {
    "PolygonLabels": SAID["BrushLabels"],
    "BitmaskLabels": SAID["BrushLabels"],
    "Rectangle": SAID["RectangleLabels"],
}
SAID |= {"HyperTextLabels": SAID["Labels"], "ParagraphLabels": SAID["Labels"]}


def config(tag: str, inside: str = "") -> str:
    shown = OBJECTS.get(tag, '<Image name="o" value="$d"/>')
    if tag == "Rectangle":
        by = f'<Choices name="c" toName="o" perRegion="true" value="$names">{inside.replace("Label", "Choice")}</Choices>'
        return f'<View>{shown}<Rectangle name="r" toName="o"/>{by}</View>'
    return f'<View>{shown}<{tag} name="r" toName="o" value="$names">{inside}</{tag}></View>'


def control(tag: str) -> Control:
    (found,) = parse_label_config(config(tag)).controls
    return found


def task(tag: str, names: Any) -> dict[str, Any]:
    return {"d": TALK if tag == "ParagraphLabels" else "Anna is here", "names": names}


def written(tag: str, names: Any, said: Prediction | None = None) -> dict[str, Any]:
    one = replace(control(tag), labels=USED)
    shown = showable(one, said or SAID[tag], task(tag, names))
    return prediction_json(1, "v1", 0.5, [(one, shown)] if shown else [], task(tag, names))


@pytest.mark.parametrize("tag", sorted(SAID))
def test_such_a_control_is_learnt_and_has_no_labels_of_its_own(tag: str) -> None:
    found = control(tag)
    assert (found.tag, found.labels, found.option("labels_from")) == (tag, (), "names")


@pytest.mark.parametrize("tag", sorted(SAID))
def test_labels_from_both_places_are_refused(tag: str) -> None:
    found = parse_label_config(config(tag, '<Label value="cat"/>'))
    assert found.controls == ()
    assert "labels from both the config and each task's data" in found.unsupported[0]


@pytest.mark.parametrize("tag", sorted(SAID))
def test_what_a_task_offers_is_written_valid_and_read_back(tag: str) -> None:
    sent, one = written(tag, OFFERED), control(tag)

    assert LabelInterface(config(tag)).validate_prediction(sent, return_errors=True) == []
    target = codec_for(one).read(one, sent["result"], task(tag, OFFERED)["d"])
    assert target is not None
    assert target.classes == ("cat", "dog")


@pytest.mark.parametrize("tag", sorted(SAID))
@pytest.mark.parametrize("names", [[], None, "cat", ["cat"], [{"value": "owl"}], [{"label": "cat"}]])
def test_a_task_that_offers_nothing_of_it_is_told_nothing(tag: str, names: Any) -> None:
    assert written(tag, names)["result"] == []


def test_the_labels_are_those_that_people_used() -> None:
    drawn = [BoxesTarget((Box("emu", 0, 0, 1, 1), Box("cat", 0, 0, 1, 1))), BoxesTarget(())]
    assert with_used_labels(control("RectangleLabels"), drawn).labels == ("cat", "emu")
    assert with_used_labels(control("RectangleLabels"), drawn[1:]).labels == ()
