"""What Label Studio sends to a backend: how it names a project, and what its events say."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from labelloop.errors import PayloadError

_KEY = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})")


@dataclass(frozen=True, slots=True, order=True)
class ProjectKey:
    """A project as Label Studio names it to a backend; a deleted project's id can come back, its key cannot.

    Attributes:
        id: the project's id.
        created: when it was created, in whole Unix seconds.
    """

    id: int
    created: int

    def __str__(self) -> str:
        return f"{self.id}.{self.created}"

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read a key of the form `3.1795471905`.

        Raises:
            PayloadError: it is not of that form.
        """
        match = _KEY.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise PayloadError(f"{text!a:.60} does not name a project; Label Studio sends '<id>.<created timestamp>'.")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def from_project(cls, project: object) -> Self:
        """The key of a project given as Label Studio's JSON.

        Raises:
            PayloadError: `id` or `created_at` is missing or malformed.
        """
        try:
            created = datetime.fromisoformat(project["created_at"])  # type: ignore[index]
            return cls.parse(f"{project['id']}.{int(created.timestamp())}")  # type: ignore[index]
        except (KeyError, TypeError, ValueError, OverflowError, OSError, PayloadError):
            raise PayloadError(
                "The project has no usable id and created_at, so it cannot be told which it is."
            ) from None


@dataclass(frozen=True, slots=True)
class Event:
    """What an event hints at. The truth is in Label Studio's API: an event may be lost, doubled or late.

    Attributes:
        action: as sent; empty when there was none.
        project: which project, None when the event does not say.
        title: the project's title, empty when the event does not say.
        label_config: the project's label config as of the event, None when the event does not say.
        changes: labels that are new, different or gone; skips do not count.
        deletions: those of `changes` that are gone.
        new_tasks: tasks that came.
        deleted_tasks: tasks that went.
        start_training: somebody asked for a training.
    """

    action: str
    project: ProjectKey | None = None
    title: str = ""
    label_config: str | None = None
    changes: int = 0
    deletions: int = 0
    new_tasks: int = 0
    deleted_tasks: int = 0
    start_training: bool = False


def read_event(payload: object) -> Event:
    """Read the body of a webhook or of a request to train; what is missing or odd counts as nothing.

    Raises:
        PayloadError: the body is not an object.
    """
    if not isinstance(payload, dict):
        raise PayloadError(f"An event must be a JSON object, not {type(payload).__name__}.")
    action = payload.get("action")
    action = action if isinstance(action, str) else ""
    project = payload.get("project")
    project = project if isinstance(project, dict) else {}
    return Event(
        action=action,
        project=_key(project),
        title=_text(project.get("title")) or "",
        label_config=_text(project.get("label_config")),
        start_training=action == "START_TRAINING",
        **_counts(action, payload),
    )


def _key(project: dict[str, Any]) -> ProjectKey | None:
    try:
        return ProjectKey.from_project(project)
    except PayloadError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _counts(action: str, payload: dict[str, Any]) -> dict[str, int]:
    match action:
        case "ANNOTATION_CREATED" | "ANNOTATION_UPDATED" | "ANNOTATIONS_CREATED":
            return {"changes": sum(not one.get("was_cancelled") for one in _objects(payload.get("annotation")))}
        case "ANNOTATIONS_DELETED":
            gone = len(_objects(payload.get("annotations")))
            return {"changes": gone, "deletions": gone}
        case "TASKS_CREATED":
            return {"new_tasks": len(_objects(payload.get("tasks")))}
        case "TASKS_DELETED":
            return {"deleted_tasks": len(_objects(payload.get("tasks")))}
    return {}


def _objects(value: object) -> list[dict[str, Any]]:
    """Label Studio sends one object or a list of them under the same key."""
    many = value if isinstance(value, list) else [value]
    return [one for one in many if isinstance(one, dict)]
