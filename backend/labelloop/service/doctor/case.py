"""What the checks look at, each thing asked for once."""

import time
from functools import cached_property
from typing import Any

from labelloop.labelstudio import LabelConfig, parse_label_config
from labelloop.service.addresses import local_address, webhook_address
from labelloop.service.connection_record import Connection, as_stored, read_connection
from labelloop.service.context import Context
from labelloop.service.projects import Project
from labelloop.service.push_state import read_push
from labelloop.service.registration import CONNECTED, backends_at
from labelloop.service.state import ProjectState, read_state
from labelloop.service.versions import NO_VERSION, Version

SERVER_LAG = 1.0
"""Seconds within which a server sees a new version."""


class Case:
    """One project, or none, and the doors it is examined through.

    Reading an attribute may raise what the door raises (LabelStudioError, StoreError, LabelConfigError).

    Args:
        context: the doors.
        project_id: the project in Label Studio; None for what all projects share.
    """

    def __init__(self, context: Context, project_id: int | None = None) -> None:
        self.context = context
        self.settings = context.settings
        self.project_id = project_id

    @cached_property
    def seen(self) -> dict[str, Any]:
        """The project as Label Studio gives it."""
        return self.context.label_studio.project(self._id)

    @cached_property
    def project(self) -> Project:
        """The project as the store would know it, whether or not it does."""
        return as_stored(self.context, self.seen)

    @cached_property
    def label_config(self) -> LabelConfig:
        """What there is to learn."""
        return parse_label_config(self.seen["label_config"])

    @cached_property
    def connection(self) -> Connection | None:
        """What `connect` did."""
        return read_connection(self.context, self.project)

    @cached_property
    def backends(self) -> list[dict[str, Any]]:
        """All backends of the project; Label Studio asks each for its health to answer this."""
        return self.context.label_studio.ml_backends(self._id)

    @cached_property
    def backend(self) -> dict[str, Any] | None:
        """The backend that is ours, or None."""
        found = backends_at(self.backend_url, self.backends)
        return found[0] if found else None

    @cached_property
    def webhooks(self) -> list[dict[str, Any]]:
        """All webhooks of the project."""
        return self.context.label_studio.webhooks(self._id)

    @cached_property
    def model_versions(self) -> dict[str, int]:
        """How many predictions of each version Label Studio has."""
        return self.context.label_studio.model_versions(self._id)

    @cached_property
    def live(self) -> Version | None:
        """The live version of the store."""
        return self.context.versions(self.project).live()

    @cached_property
    def state(self) -> ProjectState:
        """What the last round left behind."""
        return read_state(self.context.store, self.project.folder)

    @property
    def scores_written(self) -> bool:
        """Whether the scores of the live version have been written so far that they order the queue."""
        push = read_push(self.context.store, self.project.folder)
        return push is not None and self.live is not None and push.version == self.live.name and push.switched

    @property
    def queue_is_empty(self) -> bool:
        """Whether the last round found no task that waits for a label."""
        return bool(self.state.last_round_at) and not self.state.queue

    def agreed(self) -> tuple[str, str]:
        """The live version as the store and as the server name it; a server that lags behind is given a second.

        A server that Label Studio does not reach counts as agreeing: another check tells of it.
        """
        live, served = self._named()
        if live != served:
            time.sleep(SERVER_LAG)
            for name in ("live", "backends", "backend"):
                self.__dict__.pop(name, None)
            live, served = self._named()
        return live, served

    @cached_property
    def backend_url(self) -> str:
        """Where Label Studio should call us: as connected, else as registered by hand, else where a server started here listens."""
        here = local_address(self.settings)
        if self.project_id is None:
            return here
        if self.connection:
            return self.connection.backend_url
        ours = {NO_VERSION, self.live.name if self.live else NO_VERSION}
        return next((str(found["url"]) for found in self.backends if found["model_version"] in ours), here)

    @property
    def connect_command(self) -> str:
        """The command that mends most of what can be wrong with a connection."""
        return f"labelloop connect --project {self.project_id} --backend-url {self.backend_url}"

    @property
    def webhook_url(self) -> str:
        """Where Label Studio should send events."""
        return webhook_address(self.backend_url)

    def _named(self) -> tuple[str, str]:
        live = self.live.name if self.live else NO_VERSION
        found = self.backend
        return live, str(found["model_version"]) if found and found["state"] == CONNECTED else live

    @property
    def _id(self) -> int:
        assert self.project_id is not None, "this check is about a project"
        return self.project_id
