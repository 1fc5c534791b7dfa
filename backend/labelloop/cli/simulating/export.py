"""A JSON export of a Label Studio project: what its annotators said, merged as the service does it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from labelloop.cli.simulating.source import Columns, Source, bytes_of, modality_of, words_of
from labelloop.errors import DataSetError, PayloadError
from labelloop.labelstudio import TaskRecord, codec_for, merge, read_task
from labelloop.learning.texts import decode_text
from labelloop.records import Control, Modality, value_of

UNDATED: Final = "1970-01-01T00:00:00.000000Z"
"""When something without a date was made, for all that is known."""


def read(where: str, columns: Columns) -> Source:
    """Read an export; skipped and unlabelled tasks are left out, and an annotator's latest word counts.

    Where some annotations have no date, the order of labelling is not known.

    Raises:
        DataSetError: it is no such export, holds a task twice, or has no control that a simulation plays, or more than one.
    """
    path = Path(where).expanduser()
    exported = _exported(path)
    tasks = _records(path, exported, "updated_at", "created_at")
    control = _control(path, tasks, columns)
    said = {task.id: merge(control, task) for task in tasks}
    made = _records(path, exported, "created_at", "updated_at")
    labelled = [
        (task, first, target.summary)
        for task, first in zip(tasks, made, strict=True)
        if (target := said[task.id]) is not None
    ]
    left = len(tasks) - len(labelled)
    tasks_are = "1 task is" if left == 1 else f"{left:,} tasks are"
    notes: tuple[str, ...] = (f"{tasks_are} left out, with no choice that counts or with several.",) if left else ()
    dated = all(one.updated_at > UNDATED for _, first, _ in labelled for one in first.annotations)
    notes += () if dated else ("Some annotations have no date, so the order they were made in is not played.",)
    values = [value_of(task.data, control.data_key) for task, _, _ in labelled]
    folder = columns.images or path.parent

    def content(row: int) -> bytes | str | None:
        if control.modality is Modality.IMAGE:
            return bytes_of(find_image(folder, str(values[row])))
        return words_of(values[row])

    ids = [f"task {task.id}" for task, _, _ in labelled]
    labels = [label for _, _, label in labelled]
    # A label counts from the first annotation on that was not a skip.
    history = [min(said.updated_at for said in first.annotations if not said.was_cancelled) for _, first, _ in labelled]
    return Source(path.name, control.modality, ids, labels, content, history=history if dated else None, notes=notes)


def find_image(folder: Path, reference: str) -> Path | None:
    """The file below a folder that an export's reference means, None when there is none.

    It may lie there under any tail of its path, the longest first, or under the name it was uploaded under:
    `/data/upload/4/0a1b2c3d-cat.png` as `upload/4/0a1b2c3d-cat.png` or as `cat.png`, `/data/local-files/?d=pets/cat.png`
    as `pets/cat.png`.
    """
    try:
        parts = urlsplit(reference)
    except ValueError:
        return None
    told = parse_qs(parts.query).get("d", [unquote(parts.path)])[0].lstrip("/")
    steps = [step for step in told.split("/") if step]
    tails = ["/".join(steps[start:]) for start in range(len(steps))]
    guesses = [*tails, Path(told).name.partition("-")[2]]
    root = folder.resolve()
    for guess in guesses:
        # What an export refers to was written by others, and is no reason to read elsewhere on the disk.
        if guess and (found := _file_below(root, guess)):
            return found
    return None


def _file_below(root: Path, name: str) -> Path | None:
    """The file of that name below a folder; None where there is none, or no file can be called so."""
    try:
        found = (root / name).resolve()
        return found if found.is_relative_to(root) and found.is_file() else None
    except (OSError, ValueError):
        return None


def _exported(path: Path) -> list[dict[str, Any]]:
    try:
        read = json.loads(decode_text(path.read_bytes()))
    except (ValueError, RecursionError) as error:
        raise DataSetError(f"{path.name} is not JSON: {error}.") from None
    whole = isinstance(read, list) and all(isinstance(task, dict) and "data" in task for task in read)
    if not whole or not read:
        raise DataSetError(f"{path.name} is no export of Label Studio with tasks; choose the format JSON there.")
    exported: list[dict[str, Any]] = read
    return exported


def _records(path: Path, exported: Sequence[Mapping[str, Any]], *dates: str) -> list[TaskRecord]:
    """The tasks, with their annotations dated by the first of some fields that is there; a correction is no later label."""
    try:
        tasks = [read_task(_dated(task, dates)) for task in exported]
    except PayloadError as error:
        raise DataSetError(f"{path.name}: {error}") from None
    [(often, times)] = Counter(task.id for task in tasks).most_common(1)
    if times > 1:
        raise DataSetError(f"{path.name} holds task {often} {times} times; give the export of one project.")
    return tasks


def _dated(task: Mapping[str, Any], dates: Sequence[str]) -> dict[str, Any]:
    """The task with a date wherever one belongs; old versions leave them out of exports, and so do scripts that write some."""
    said = task.get("annotations")
    annotations = [_with_date(one, dates) for one in said] if isinstance(said, list) else said
    return {**_with_date(task, dates), "annotations": annotations}


def _with_date(one: Any, dates: Sequence[str]) -> Any:
    if not isinstance(one, dict):  # is told of where it is read
        return one
    return {**one, "updated_at": next(filter(None, map(one.get, dates)), UNDATED)}


def _control(path: Path, tasks: Sequence[TaskRecord], columns: Columns) -> Control:
    """The control that is played of an export, which carries results but no label config."""
    seen = {
        (str(region.get("from_name")), str(region.get("to_name")), str(region.get("type")))
        for task in tasks
        for annotation in task.annotations
        for region in annotation.result
    }
    wanted = [
        Control(name, "Choices", to_name, "", Modality.TEXT, ())
        for name, to_name, kind in sorted(seen)
        if kind == "choices" and columns.label in ("", name)
    ]
    found = {control.name: control for control in wanted if _labels(tasks, control)}
    if not found:
        which = f"control {columns.label!r} of" if columns.label else "annotation with"
        there = sorted({f"{name} ({kind})" for name, _, kind in seen})
        raise DataSetError(
            f"{path.name} has no {which} choices that give whole tasks one class each, which are what a simulation plays"
            + (f"; it has {', '.join(there)}." if there else ".")
        )
    if len(found) > 1:
        raise DataSetError(f"{path.name} has several controls ({', '.join(found)}); say which with --label-column.")
    [control] = found.values()
    data_key = _data_key(path, tasks, control.to_name, columns.content)
    return replace(
        control, data_key=data_key, modality=_modality(path, tasks, data_key), labels=_labels(tasks, control)
    )


def _data_key(path: Path, tasks: Sequence[TaskRecord], to_name: str, wanted: str) -> str:
    keys = {key for task in tasks for key, value in task.data.items() if isinstance(value, str)}
    keys = keys or {key for task in tasks for key in _paths(task.data)}
    if wanted:
        if all(value_of(task.data, wanted) is None for task in tasks):
            there = ", ".join(sorted(keys)) or "no text"
            raise DataSetError(f"The tasks of {path.name} have no {wanted!r} in their data; there is {there}.")
        return wanted
    usual = sorted(keys) if len(keys) == 1 else [key for key in (to_name, "image", "text") if key in keys]
    if not usual:
        there = ", ".join(sorted(keys)) or "none"
        raise DataSetError(f"Say with --column which data of {path.name} is meant: {there}.")
    return usual[0]


def _paths(data: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Where texts and conversations lie in a task's data, however deep, as label configs refer to them."""
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _paths(value, f"{above}{key}.")
        elif isinstance(value, str | list):
            yield f"{above}{key}"


def _modality(path: Path, tasks: Sequence[TaskRecord], data_key: str) -> Modality:
    values = [str(value_of(task.data, data_key)) for task in tasks]
    return modality_of(path.name, values, [_suffix(value) for value in values])


def _suffix(value: str) -> str:
    """That of the file which a task refers to; nothing where it is no reference."""
    if len(value) > 4096 or "\n" in value:
        return ""
    try:
        parts = urlsplit(value)
    except ValueError:
        return ""
    told = parse_qs(parts.query).get("d", [parts.path])[0]
    return Path(told).suffix.lower()


def _labels(tasks: Sequence[TaskRecord], control: Control) -> tuple[str, ...]:
    codec, key = codec_for(control), control.data_key
    said = (codec.read(control, one.result, value_of(task.data, key)) for task in tasks for one in task.annotations)
    return tuple(sorted({target.summary for target in said if target is not None}))
