"""Checks of what is learnt: the project, its label config, one real task's media, the weights of the backbones."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from labelloop.errors import LearningError, MediaError
from labelloop.labelstudio import CODECS
from labelloop.learning import BackboneSpec, Parts, resolve_backbone
from labelloop.records import Control, Kind, value_of
from labelloop.service.doctor.case import Case
from labelloop.service.doctor.finding import Level, Seen, broken, ok, warn
from labelloop.service.reading import media_of
from labelloop.service.releases import backbone_spec

TASKS_TRIED: Final = 3
"""Tasks of which one must be readable."""


def project(case: Case) -> Iterator[Seen]:
    """The token may see the project."""
    yield ok(f"{case.seen['title']!r}, {case.seen['task_number']} tasks")


def label_config(case: Case) -> Iterator[Seen]:
    """The label config has a control that can be learnt."""
    for line in case.label_config.unsupported:
        yield warn(line)
    controls = case.label_config.controls
    if controls:
        yield ok(f"learns {', '.join(map(_learnt, controls))}")
    else:
        yield broken("holds nothing Labelloop can learn", f"add a control of the kinds {', '.join(CODECS)}")


def media(case: Case) -> Iterator[Seen]:
    """The media of one task can be had; one file that is damaged is not taken for all."""
    tasks = list(islice(case.context.label_studio.tasks(case.seen["id"], page_size=TASKS_TRIED), TASKS_TRIED))
    if not tasks:
        yield warn("the project has no task yet", "import some")
        return
    for control in case.label_config.controls:
        yield _read_one(case, control, tasks)


def weights(case: Case) -> Iterator[Seen]:
    """The backbones of what is learnt are there."""
    specs = dict.fromkeys(backbone_spec(case.settings, control) for control in case.label_config.controls)
    for spec in specs:
        known = [
            record.backbone for record in (case.live.learners if case.live else ()) if record.backbone_spec == spec
        ]
        try:
            found = known[0] if known else resolve_backbone(spec)
        except LearningError as error:
            yield broken(str(error), f"set LABELLOOP_{spec.modality.upper()}_BACKBONE to one that can be had")
            continue
        yield warn(found.note) if found.note else ok(f"{found.name} for {_parts(spec)}, {found.dim} features")


def _learnt(control: Control) -> str:
    """What is learnt of a control: only classes that the config names can be counted."""
    count = len(control.labels)
    if control.answer is Kind.TEXT:
        answers = "written answers"
    elif not count:
        answers = "classes of each task's data"
    else:
        answers = "1 class" if count == 1 else f"{count} classes"
    return f"{control.name} ({answers}, {control.modality})"


def _parts(spec: BackboneSpec) -> str:
    """What a backbone gives features of."""
    return f"{spec.modality}s" if spec.parts is Parts.NONE else f"{spec.modality}s and their {spec.parts}"


def _read_one(case: Case, control: Control, tasks: list[dict[str, Any]]) -> Seen:
    """What is seen of the first task; a warning alone where that cannot be read and another can."""
    first = _read(case, control, tasks[0])
    if first.level is not Level.OK:
        for task in tasks[1:]:
            if _read(case, control, task).level is Level.OK:
                return warn(f"{first.text.rstrip('.')}; task {task['id']} can be read", first.mend)
    return first


def _read(case: Case, control: Control, task: dict[str, Any]) -> Seen:
    value = value_of(task["data"], control.data_key)
    if value is None:
        return broken(
            f"task {task['id']} has no {control.data_key!r} in its data",
            f"name a key the tasks have in {control.to_name!r}",
        )
    try:
        shown = media_of(case.context, control, task["id"], value)
    except MediaError as error:
        return broken(f"task {task['id']}: {error}")
    if isinstance(shown, str):
        return ok(f"task {task['id']}: {len(shown)} characters of text")
    return ok(f"task {task['id']}: {len(shown) / 1024:.0f} KiB fetched")
