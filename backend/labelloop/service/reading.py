"""What a task shows, ready for a backbone: the bytes of its image, or its text."""

from labelloop.errors import MediaBroken
from labelloop.labelstudio import text_of
from labelloop.labelstudio.codecs.spans import marked_text
from labelloop.records import Control, Kind, Modality
from labelloop.service.context import Context


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
        raise MediaBroken(f"task {task_id} has no {control.data_key!r} in its data; the label config asks for it")
    if control.modality is Modality.TEXT and control.kind in (Kind.SPANS, Kind.ATTRIBUTES):
        return marked_text(control, value, context.settings.text_max_chars)
    if control.modality is Modality.TEXT:
        names = {name: control.option(name, usual) for name, usual in (("name_key", "author"), ("text_key", "text"))}
        return text_of(value, context.settings.text_max_chars, **names)
    return context.media.fetch(task_id, str(value), control.modality)
