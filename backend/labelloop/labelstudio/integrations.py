"""A project's ML backends and webhooks."""

from typing import Any

from labelloop.labelstudio.verbs import Verbs

Json = dict[str, Any]


class Integrations(Verbs):
    """What a project calls out to. Every method raises `LabelStudioError`."""

    def ml_backends(self, project_id: int) -> list[Json]:
        """The project's backends. Label Studio calls each one's /health and /setup before it answers."""
        backends: list[Json] = self.get("/api/ml", params={"project": project_id})
        return backends

    def create_ml_backend(self, *, url: str, project: int, title: str, **fields: Any) -> Json:
        """Connect a backend. Label Studio calls it at once, and makes a webhook of its own where it likes the host name."""
        backend: Json = self.post("/api/ml", {"url": url, "project": project, "title": title, **fields})
        return backend

    def update_ml_backend(self, backend_id: int, *, url: str, project: int, **fields: Any) -> Json:
        """Change a backend; Label Studio fails unless `url` and `project` are sent too."""
        backend: Json = self.patch(f"/api/ml/{backend_id}", {"url": url, "project": project, **fields})
        return backend

    def delete_ml_backend(self, backend_id: int) -> None:
        """Disconnect a backend. Its webhook stays, and the project's model_version is emptied."""
        self.delete(f"/api/ml/{backend_id}")

    def webhooks(self, project_id: int) -> list[Json]:
        """The project's webhooks."""
        webhooks: list[Json] = self.get("/api/webhooks/", params={"project": project_id})
        return webhooks

    def create_webhook(self, project_id: int, url: str, **fields: Any) -> Json:
        """Add a webhook."""
        webhook: Json = self.post("/api/webhooks/", {"project": project_id, "url": url, **fields})
        return webhook

    def update_webhook(self, webhook_id: int, *, url: str, **fields: Any) -> Json:
        """Change a webhook; Label Studio wants its `url` each time."""
        webhook: Json = self.patch(f"/api/webhooks/{webhook_id}/", {"url": url, **fields})
        return webhook

    def delete_webhook(self, webhook_id: int) -> None:
        """Remove a webhook."""
        self.delete(f"/api/webhooks/{webhook_id}/")
