"""What every command, request and job starts from: the settings and the doors to the store, Redis and Label Studio."""

from functools import cached_property

from redis import Redis

from labelloop.labelstudio import LabelStudio, MediaFetcher
from labelloop.service.features import Features
from labelloop.service.projects import Project, Projects
from labelloop.service.queueing import connect_redis
from labelloop.service.store import Store
from labelloop.service.versions import Versions
from labelloop.settings import Settings, get_settings

REDIS_TIMEOUT = 10.0
"""Seconds for a command to a Redis that may have gone without a word; the kernel would wait for a quarter of an hour."""


class Context:
    """The doors, each opened when first used.

    Args:
        settings: where they lead to.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def store(self) -> Store:
        """Versions, features and state."""
        return Store(self.settings.store_location)

    @cached_property
    def redis(self) -> Redis:
        """Queues, hints and progress."""
        return connect_redis(self.settings, REDIS_TIMEOUT)

    @cached_property
    def label_studio(self) -> LabelStudio:
        """The truth."""
        return LabelStudio.from_settings(self.settings)

    @cached_property
    def media(self) -> MediaFetcher:
        """Fetches what tasks refer to."""
        return MediaFetcher(self.label_studio, self.settings.data_dir / "media", self.settings)

    @cached_property
    def projects(self) -> Projects:
        """The projects of this Label Studio."""
        return Projects(self.store, self.settings.label_studio_url)

    def versions(self, project: Project) -> Versions:
        """The project's versions."""
        return Versions(self.store, project.folder)

    def features(self, project: Project, backbone_id: str) -> Features:
        """The project's features under one backbone."""
        return Features(self.store, project.folder, backbone_id, self.settings.data_dir / "shards")


def open_context(settings: Settings | None = None) -> Context:
    """A context of the given settings, or of the environment's."""
    return Context(settings or get_settings())
