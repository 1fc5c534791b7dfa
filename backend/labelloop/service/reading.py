"""What a task shows, ready for a backbone: the bytes of its image, or its text."""

from typing import Final

from labelloop.errors import MediaBroken
from labelloop.labelstudio import TaskRecord, text_of
from labelloop.labelstudio.codecs.spans import marked_text
from labelloop.records import Control, Kind, Modality
from labelloop.service.context import Context
from labelloop.service.features import item_key
from labelloop.service.state import Place
from labelloop.settings import Settings

# Options of a control that say how its text is read, with what they are where nothing is said.
_USUAL: Final = {"encoding": "none", "inline": "false", "name_key": "author", "object": "Text", "text_key": "text"}
_MOST_CHARS: Final = Settings.model_fields["text_max_chars"].default


def media_of(context: Context, control: Control, task_id: int, value: object) -> bytes | str:
    """Read the object that a control is about.

    Args:
        context: the doors; images are fetched through them.
        control: which modality, under which data key.
        task_id: whose.
        value: what the task's data holds under that key, None when it has no such key.

    Raises:
        MediaBroken: there is none, or it cannot be read.
        MediaUnavailable: it cannot be had for now.
    """
    if value is None:
        raise MediaBroken(f"there is no {control.data_key!r} in its data; the label config asks for it")
    if _is_marked(control):
        return marked_text(control, value, context.settings.text_max_chars)
    if control.modality is Modality.TEXT:
        how = {name: control.option(name, _USUAL[name]) for name in ("encoding", "name_key", "text_key")}
        return text_of(value, context.settings.text_max_chars, **how)
    return context.media.fetch(task_id, str(value), control.modality)


def how_read(control: Control, settings: Settings) -> str:
    """How a control's text is read, where that is not as usual: two controls read the same of one value where this is the same.

    That a text is marked is left out, because the backbones that read such texts are others.
    """
    if control.modality is not Modality.TEXT:
        return ""
    said = [f"{name}={value!r}" for name, value in control.options if _USUAL.get(name, value) != value]
    if settings.text_max_chars != _MOST_CHARS:
        said.append(f"max_chars={settings.text_max_chars}")
    return " ".join(said)


class Reading:
    """What one control reads of tasks: worked out once, since there may be many.

    Args:
        control: which.
        settings: how much of a text is read.
    """

    def __init__(self, control: Control, settings: Settings) -> None:
        self._modality = control.modality
        self._how = how_read(control, settings)
        self._object = object_of(control, settings)

    def key(self, value: object) -> str:
        """The key of the features of what is read of a value in a task's data."""
        return item_key(self._modality, value, self._how)

    def place(self, task: TaskRecord) -> Place:
        """What is read of a task; what cannot be read one way may well be in another."""
        return task.id, self._object


def object_of(control: Control, settings: Settings) -> str:
    """What a control reads of every task, and how."""
    how = f"{' marked' if _is_marked(control) else ''} {how_read(control, settings)}".rstrip()
    return f"{control.modality}:{control.data_key}{how}"


def _is_marked(control: Control) -> bool:
    """Whether people mark stretches of the text, so that it is read as it is."""
    return control.modality is Modality.TEXT and control.kind in (Kind.SPANS, Kind.ATTRIBUTES)
