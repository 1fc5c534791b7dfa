"""The Label Studio projects this Labelloop serves, remembered in the store."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from labelloop.labelstudio import ProjectKey
from labelloop.service.store import Store

ROOT = "projects"


@dataclass(frozen=True, slots=True)
class Project:
    """One project as last heard of.

    Attributes:
        key: id and creation time, as Label Studio names it to a backend.
        slug: its folder in the store: the instance's host and port, the id and the creation time.
        title: the project's title, for people.
        label_config: the label config (XML) as last seen.
        overlap: annotations a task gets before it leaves the queue (Label Studio's `maximum_annotations`).
    """

    key: ProjectKey
    slug: str
    title: str = ""
    label_config: str = ""
    overlap: int = 1

    @property
    def folder(self) -> str:
        """Where everything of this project lies in the store."""
        return f"{ROOT}/{self.slug}"


class Projects:
    """All projects of one Label Studio.

    Args:
        store: where they are remembered.
        label_studio_url: the instance; projects of two instances never mix.
    """

    def __init__(self, store: Store, label_studio_url: str) -> None:
        self._store = store
        parts = urlsplit(label_studio_url)
        instance = (
            f"{parts.hostname or 'localhost'}-{parts.port or (443 if parts.scheme == 'https' else 80)}{parts.path}"
        )
        self._instance = re.sub(r"[^a-z0-9]+", "-", instance.lower()).strip("-")

    def slug(self, key: ProjectKey) -> str:
        """The name of the project's folder."""
        return f"{self._instance}-{key.id}-{key.created}"

    def register(self, key: ProjectKey, label_config: str, title: str = "", overlap: int | None = None) -> Project:
        """Remember a project; writes only when something about it is new. What is not given stays as it was."""
        slug = self.slug(key)
        known = self.get(slug)
        old = known or Project(key, slug)
        project = Project(key, slug, title or old.title, label_config, old.overlap if overlap is None else overlap)
        if project != known:
            self._store.write_json(
                f"{project.folder}/project.json",
                {
                    "id": key.id,
                    "created": key.created,
                    "title": project.title,
                    "label_config": label_config,
                    "overlap": project.overlap,
                },
            )
        return project

    def get(self, key: ProjectKey | str) -> Project | None:
        """The project of that key or slug, or None."""
        slug = key if isinstance(key, str) else self.slug(key)
        record = self._store.read_json(f"{ROOT}/{slug}/project.json")
        if record is None:
            return None
        return Project(
            ProjectKey(record["id"], record["created"]),
            slug,
            record["title"],
            record["label_config"],
            record["overlap"],
        )

    def find(self, project_id: int) -> Project | None:
        """The project of that Label Studio id, the youngest where a database was made anew; or None."""
        found = [project for project in self.all() if project.key.id == project_id]
        return max(found, key=lambda project: project.key.created, default=None)

    def all(self) -> list[Project]:
        """Every project of this instance."""
        slugs = [name for name in self._store.names(ROOT) if name.startswith(f"{self._instance}-")]
        projects = [project for slug in slugs if (project := self.get(slug)) is not None]
        # The name of an instance may begin like that of another, which lies in a folder of the same host.
        return [project for project in projects if project.slug == self.slug(project.key)]

    def forget(self, slug: str) -> None:
        """Stop serving a project; its versions and features stay in the store."""
        self._store.delete(f"{ROOT}/{slug}/project.json")
