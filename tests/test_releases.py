"""Which backbone a control's next version stands on."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from labelloop.errors import VersionError
from labelloop.labelstudio import parse_label_config
from labelloop.learning import Parts, ResolvedBackbone
from labelloop.records import Control
from labelloop.service.context import Context
from labelloop.service.releases import backbone_spec, learner_record, release
from labelloop.service.versions import LearnerRecord
from labelloop.settings import Settings
from support.kinds import KINDS
from support.serving import a_project
from support.trained_kinds import book_of, train

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


def test_a_version_that_goes_live_while_another_is_written_stays_live(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = KINDS["rating"]
    project, versions, store = a_project(context, made.config), context.versions, context.store
    first, candidates = train(context, project, book_of(made, 40, 30))
    controls = parse_label_config(made.config).controls
    live = release(versions(project), first, candidates, controls, context.settings)
    written = store.write_json

    def rolled_back_meanwhile(path: str, value: Any) -> None:
        if path.endswith("labels.json"):
            versions(project).make_live(first.name)
        written(path, value)

    monkeypatch.setattr(store, "write_json", rolled_back_meanwhile)
    with pytest.raises(VersionError, match="changed during the training"):
        release(versions(project), live, candidates, controls, context.settings)
    assert versions(project).live_name() == first.name
    assert {version.name for version in versions(project).all()} == {first.name, live.name}
