"""One Label Studio, as a program sees it: its projects, tasks and annotations."""

from collections.abc import Iterator, Sequence
from typing import Any, Self

import requests

from labelloop.errors import LabelStudioRejected
from labelloop.labelstudio.data_manager import PAGE, changed_since
from labelloop.labelstudio.integrations import Integrations, Json
from labelloop.labelstudio.predictions import Predictions
from labelloop.settings import Settings

TASK_FIELDS = "id,data,updated_at,annotations,result,was_cancelled,ground_truth,completed_by,lead_time"
"""What is asked of each task and each of its annotations; all that Label Studio has to tell takes four times as long."""


class LabelStudio(Predictions, Integrations):
    """A Label Studio. Every method raises `LabelStudioError` when it cannot be asked or refuses."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The Label Studio that the settings name."""
        return cls(
            settings.label_studio_url,
            settings.label_studio_api_key.get_secret_value(),
            timeout=settings.request_timeout,
            push_timeout=settings.push_timeout,
        )

    def version(self) -> str:
        """Its version, for example `1.23.2`."""
        return str(self.get("/api/version")["release"])

    def whoami(self) -> Json:
        """The user whose token is used."""
        user: Json = self.get("/api/current-user/whoami")
        return user

    def projects(self) -> Iterator[Json]:
        """Every project the user may see."""
        page = 1
        while True:
            answer = self.get("/api/projects", params={"page": page, "page_size": 100})
            yield from answer["results"]
            if not answer["next"]:
                return
            page += 1

    def project(self, project_id: int) -> Json:
        """A project, with its counters."""
        project: Json = self.get(f"/api/projects/{project_id}/")
        return project

    def create_project(self, title: str, label_config: str) -> Json:
        """Make a project."""
        project: Json = self.post("/api/projects", {"title": title, "label_config": label_config})
        return project

    def update_project(self, project_id: int, **fields: Any) -> Json:
        """Change a project; Label Studio sends PROJECT_UPDATED to every webhook of it, ours included."""
        project: Json = self.patch(f"/api/projects/{project_id}/", fields)
        return project

    def tasks(
        self, project_id: int, *, updated_since: str | None = None, page_size: int = PAGE
    ) -> Iterator[dict[str, Any]]:
        """Tasks with their annotations, in order of id, fetched a page at a time.

        Args:
            project_id: of which project.
            updated_since: only tasks updated at that moment (ISO 8601, UTC) or later; None: all. Whoever keeps a watermark moves it
                when all have come.
            page_size: tasks asked for at a time.
        """
        filters = [changed_since(updated_since)] if updated_since is not None else []
        return self.list_tasks(project_id, TASK_FIELDS, page_size, *filters)

    def task(self, task_id: int) -> Json:
        """A task with its annotations and predictions. Label Studio may ask the project's backend for a prediction first."""
        task: Json = self.get(f"/api/tasks/{task_id}/")
        return task

    def import_tasks(self, project_id: int, tasks: Sequence[Json]) -> Json:
        """Add tasks."""
        answer: Json = self.post(f"/api/projects/{project_id}/import", list(tasks), timeout=self._push_timeout)
        return answer

    def next_task(self, project_id: int) -> Json | None:
        """The task Label Studio serves this user next, None when there is none left; it is then locked for the user."""
        try:
            task: Json = self.get(f"/api/projects/{project_id}/next")
        except LabelStudioRejected as error:
            if error.status != requests.codes.not_found:
                raise
            return None
        return task

    def annotate(self, task_id: int, result: Sequence[Json], **fields: Any) -> Json:
        """Submit an annotation; `was_cancelled=True` skips."""
        annotation: Json = self.post(f"/api/tasks/{task_id}/annotations/", {"result": list(result), **fields})
        return annotation

    def owns(self, url: str) -> bool:
        """Whether an address lies within this Label Studio.

        Raises:
            ValueError: it is no address.
        """
        return self._connection.owns(url)

    def open_media(self, url: str, *, timeout: float) -> requests.Response:
        """Open an address of this Label Studio with our token; the body is unread, a redirect is not followed.

        Raises:
            LabelStudioDenied: the address is not of this Label Studio: the token goes nowhere else.
        """
        return self._connection.stream(url, timeout=timeout)
