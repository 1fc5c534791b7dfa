"""Where a task's data holds what a label config refers to."""

import re
from collections.abc import Mapping
from typing import Any, Final

_STEP: Final = re.compile(r"[^.\[\]]+")
_PLACE: Final = re.compile(r"[0-9]{1,9}")


def value_of(data: Mapping[str, Any], key: str) -> Any:
    """What a task's data holds under a key as label configs write it.

    Args:
        data: the task's.
        key: a key that the data has, or else a path through objects and lists, such as `doc.pages[0].text`. This is how
            Label Studio's editor looks it up.

    Returns:
        None where there is nothing.
    """
    if key in data:
        return data[key]
    steps = _STEP.findall(key)
    found: Any = data if steps else None
    for step in steps:
        found = _below(found, step)
    return found


def _below(value: Any, step: str) -> Any:
    if isinstance(value, list) and _PLACE.fullmatch(step):
        return value[int(step)] if int(step) < len(value) else None
    return value.get(step) if isinstance(value, Mapping) else None
