"""What `connect` found and did, kept in the store so that `disconnect` can put it back."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from labelloop.errors import LabelStudioDenied, LabelStudioRejected, TokenRefused
from labelloop.labelstudio import LabelStudio, ProjectKey
from labelloop.service.context import Context
from labelloop.service.projects import Project

DENIED_MEND = (
    "set LABEL_STUDIO_API_KEY to a personal access token of a user who may manage the project (Account & Settings in Label Studio); "
    "a stock Label Studio refuses legacy tokens"
)


@dataclass(frozen=True, slots=True)
class Connection:
    """What `connect` did to a project, as the store keeps it.

    Attributes:
        backend_url: where Label Studio calls us.
        backend_id: the backend's id in Label Studio; None until there is one.
        former: the project's settings before.
        ours: the project's settings that we chose.
    """

    backend_url: str
    backend_id: int | None = None
    former: dict[str, Any] = field(default_factory=dict)
    ours: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done.

    Attributes:
        project_id: the project's id in Label Studio.
        title: its title.
        backend_url: where Label Studio calls us.
        changes: what was changed, one line each.
        warnings: what stands in the way and was not changed, with the mend, one line each.
    """

    project_id: int
    title: str
    backend_url: str
    changes: list[str]
    warnings: list[str]


_ADAPTER = TypeAdapter(Connection)


def read_connection(context: Context, project: Project) -> Connection | None:
    """What `connect` did to the project; None when it did nothing."""
    try:
        return _ADAPTER.validate_python(context.store.read_json(_path(project)))
    except ValidationError:  # there is none, or one of another release
        return None


def keep_connection(context: Context, project: Project, record: Connection) -> None:
    """Keep it."""
    context.store.write_json(_path(project), _ADAPTER.dump_python(record))


def drop_connection(context: Context, project: Project) -> None:
    """Forget it."""
    context.store.delete(_path(project))


def project_seen(label_studio: LabelStudio, project_id: int) -> dict[str, Any]:
    """The project as Label Studio has it.

    Raises:
        LabelStudioError: it has none of that id, or does not let us see it; the message says how to mend it.
    """
    try:
        return label_studio.project(project_id)
    except TokenRefused:  # which says its mend itself
        raise
    except LabelStudioDenied as error:
        raise LabelStudioDenied(f"{error} {DENIED_MEND[0].upper()}{DENIED_MEND[1:]}.") from error
    except LabelStudioRejected as error:
        if error.status != 404:
            raise
        raise LabelStudioRejected(
            f"Label Studio at {label_studio.url} has no project {project_id} that the user of this token may see.", 404
        ) from error


def as_stored(context: Context, seen: dict[str, Any]) -> Project:
    """The project as the store keeps it, whether or not it is there."""
    key = ProjectKey.from_project(seen)
    return Project(key, context.projects.slug(key), seen["title"], seen["label_config"], seen["maximum_annotations"])


def _path(project: Project) -> str:
    return f"{project.folder}/connection.json"
