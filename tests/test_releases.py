"""Which backbone a control's next version stands on."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from labelloop.labelstudio import parse_label_config
from labelloop.learning import Parts, ResolvedBackbone
from labelloop.records import Control
from labelloop.service.releases import backbone_spec, learner_record
from labelloop.service.versions import LearnerRecord
from labelloop.settings import Settings

SETTINGS = Settings(image_backbone="plain", offline=True, device="cpu")


def _boxes(*labels: str) -> Control:
    inside = "".join(f'<Label value="{label}"/>' for label in labels)
    config = f'<View><Image name="i" value="$i"/><RectangleLabels name="b" toName="i">{inside}</RectangleLabels></View>'
    return parse_label_config(config).controls[0]


@pytest.mark.parametrize(
    ("labels", "stays"),
    [
        (("car", "bus"), True),
        (("bus", "car"), True),
        (("car",), True),
        (("car", "bus", "tram"), False),
        (("van",), False),
    ],
)
def test_a_tuned_detector_stays_while_it_was_trained_to_find_all_classes(labels: tuple[str, ...], stays: bool) -> None:
    known = _boxes("car", "bus")
    tuned = ResolvedBackbone("fasterrcnn, fine-tuned", "t1", 10, tuned="p/tuned/t1/files")
    spec = replace(backbone_spec(SETTINGS, known), parts=Parts.OUTPUT)
    live: Any = SimpleNamespace(learners=[LearnerRecord(known, known.labels, "", spec, tuned)])

    found = learner_record(SETTINGS, _boxes(*labels), live)
    assert (found.backbone == tuned) is stays
    assert (found.backbone_spec.parts is Parts.OUTPUT) is stays
