"""Label configs such as projects begin with: what they ask is learnt, and what is sent is valid and read as it was meant."""

import json
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from label_studio_sdk.label_interface import LabelInterface

from labelloop.labelstudio import codec_for, parse_label_config, prediction_json
from labelloop.labelstudio.codecs.attributes import asked_about, asked_parts
from labelloop.labelstudio.dynamic import offered
from labelloop.labelstudio.pieces import in_pieces
from labelloop.records import (
    Attribute,
    AttributesPrediction,
    Box,
    BoxesPrediction,
    ClassPrediction,
    Control,
    Kind,
    Mask,
    MasksPrediction,
    Prediction,
    SetPrediction,
    Span,
    SpansPrediction,
    TextPrediction,
    value_of,
)

IMAGE, TEXT = '<Image name="i" value="$image"/>', '<Text name="t" value="$text"/>'
TALK = '<Paragraphs name="p" value="$talk" nameKey="role" textKey="content"/>'
LABELS, CHOICES = '<Label value="a"/><Label value="b"/>', '<Choice value="yes"/><Choice value="no"/>'
DATA: dict[str, Any] = {
    "image": "http://x/y.png",
    "text": "So \U0001f30d Anna met Bob in Paris",
    "page": "<h1>News</h1><p>So \U0001f30d Anna &amp; Bob<br>met</p>",
    "talk": [{"role": "A", "content": "So \U0001f30d Anna met"}, {"role": "B", "content": "Bob in Paris"}],
    "offered": [{"value": "one"}, {"value": "two", "children": [{"value": "three"}, {"value": "four"}]}],
}
CONFIGS = {
    "words read in pictures": f"{IMAGE}<Labels name='kind' toName='i'>{LABELS}</Labels><Rectangle name='box' toName='i'/>"
    "<Polygon name='outline' toName='i'/><TextArea name='written' toName='i' perRegion='true' maxSubmissions='1'/>",
    "boxes and a finding": f"{IMAGE}<RectangleLabels name='box' toName='i'>{LABELS}</RectangleLabels>"
    f"<Choices name='found' toName='i'>{CHOICES}</Choices>",
    "boxes of three kinds from the tasks": IMAGE
    + "".join(f"<RectangleLabels name='{name}' toName='i' value='$offered'/>" for name in ("one", "two", "three")),
    "areas asked about": f"<BrushLabels name='area' toName='i'>{LABELS}</BrushLabels>{IMAGE}"
    f"<Choices name='sure' toName='i' perRegion='true' visibleWhen='region-selected'>{CHOICES}</Choices>",
    "names asked about": f"{TEXT}<Labels name='name' toName='t'>{LABELS}</Labels><Rating name='stars' toName='t' perRegion='true'/>"
    f"<Choices name='sure' toName='t' perRegion='true' whenTagName='name' whenLabelValue='a'>{CHOICES}</Choices>",
    "names on pages": f"<HyperTextLabels name='name' toName='h'>{LABELS}</HyperTextLabels><HyperText name='h' value='$page'/>",
    "a conversation judged": f"{TALK}<ParagraphLabels name='slot' toName='p'>{LABELS}</ParagraphLabels>"
    "<TextArea name='reply' toName='p'/>"
    + "".join(f"<Choices name='q{n}' toName='p' choice='single-radio'>{CHOICES}</Choices>" for n in range(4)),
    "questions that follow from others": f"{TEXT}<Choices name='tone' toName='t'>{CHOICES}</Choices>"
    f"<Choices name='more' toName='t' choice='multiple' visibleWhen='choice-selected' whenTagName='tone'>{CHOICES}</Choices>"
    f"<Choices name='deep' toName='t' visibleWhen='choice-selected' whenTagName='more' whenChoiceValue='no'>{CHOICES}</Choices>",
    "results ranked": f"{TEXT}<Choices name='good' toName='t' value='$offered' choice='multiple' allownested='true'/>"
    f"<Rating name='stars' toName='t'/><Choices name='sure' toName='t' showInLine='true'>{CHOICES}</Choices>",
    "a tree and a form": f"{TEXT}<Taxonomy name='tree' toName='t'><Choice value='a'><Choice value='b > c'/></Choice>{CHOICES}"
    "</Taxonomy><TextArea name='key' toName='t'/><TextArea name='value' toName='t'/>",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_what_a_config_asks_is_learnt_sent_and_read(name: str) -> None:
    xml = f"<View>{CONFIGS[name]}</View>"
    config, interface = parse_label_config(xml), LabelInterface(xml)
    assert config.unsupported == ()
    sent: set[str] = set()
    for seed in range(20):
        told = predictions(config.controls, random.Random(seed))
        item = json.loads(json.dumps(prediction_json(1, "v1", 0.5, told, DATA)))
        assert interface.validate_prediction(item, return_errors=True) == []
        named = {region["from_name"] for region in item["result"]}
        sent |= named
        for control, one in told:
            if control.name in named:
                value = value_of(DATA, control.data_key)
                assert meant(one) == meant(codec_for(control).read(control, item["result"], value))
    assert {control.name for control in config.controls} <= sent


def predictions(controls: tuple[Control, ...], draw: random.Random) -> list[tuple[Control, Prediction]]:
    """Something of each control, what asks about regions after what draws them."""
    said: dict[str, Prediction] = {}
    found: list[tuple[Control, Prediction]] = []
    in_question = asked_about(controls)
    for control in controls:
        labels = offered(control, DATA) if control.option("labels_from") else control.labels
        control = replace(control, labels=labels)
        one = predicted(control, labels, asked_parts(control, said), draw)
        said[control.name] = in_pieces(one) if control.name in in_question else one
        found.append((control, said[control.name]))
    return found


def predicted(control: Control, labels: tuple[str, ...], parts: tuple[Any, ...], draw: random.Random) -> Prediction:
    if control.kind is Kind.ATTRIBUTES:
        return AttributesPrediction(
            tuple(Attribute(part, answer(control.answer, labels, draw)) for part in parts), 0.5, 0.5
        )
    if control.kind is Kind.BOXES:
        corners = [(round(draw.random() / 2, 6), round(draw.random() / 2, 6)) for _ in range(2)]
        return BoxesPrediction(tuple(Box(draw.choice(labels), x, y, 0.25, 0.3) for x, y in corners), 0.5, 0.5, 90, 120)
    if control.kind is Kind.MASKS:
        inside = np.zeros((60, 80), dtype=bool)
        inside[draw.randrange(30) :, draw.randrange(40) :] = True
        return MasksPrediction((Mask.of(draw.choice(labels), inside),), 0.5, 0.5)
    if control.kind is Kind.SPANS:
        starts = sorted(draw.sample(range(0, 12, 3), 2))
        return SpansPrediction(tuple(Span(draw.choice(labels), start, start + 2) for start in starts), 0.5, 0.5)
    return answer(control.kind, labels, draw)


def answer(kind: Kind, labels: tuple[str, ...], draw: random.Random) -> Prediction:
    if kind is Kind.TEXT:
        return TextPrediction(draw.choice(["bonjour", "a\nb", " x "]), 0.5, 0.5)
    if kind is Kind.SET:
        return SetPrediction(tuple(sorted(draw.sample(labels, 1 + draw.randrange(len(labels))))), 0.5, 0.5)
    return ClassPrediction(draw.choice(labels), 0.5, 0.5)


def meant(said: Any) -> Any:
    """What a prediction or a target says, alike where they say the same."""
    if isinstance(said, SetPrediction | ClassPrediction):
        return said.summary
    if hasattr(said, "boxes"):
        return sorted(map(repr, said.boxes))
    if hasattr(said, "spans"):
        return sorted((one.label, one.start, one.end) for one in said.spans)
    if hasattr(said, "masks"):
        return [(one.label, one.runs) for one in said.masks]
    if hasattr(said, "attributes"):
        return sorted(repr(meant(one.said)) for one in said.attributes)
    return said.texts if hasattr(said, "texts") else (said.text,) if hasattr(said, "text") else said.summary
