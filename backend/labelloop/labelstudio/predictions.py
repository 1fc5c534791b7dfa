"""The predictions Label Studio stores, which order its queue."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import requests

from labelloop.labelstudio.data_manager import PAGE, DataManager, without_version

CLEARED_AT_ONCE = 25
PAUSE = 0.15


class Predictions(DataManager):
    """Reads and writes stored predictions. Every method raises `LabelStudioError`.

    Args:
        url: where Label Studio answers.
        api_key: a personal access token or a legacy token.
        timeout: seconds to wait for an answer.
        push_timeout: seconds to wait where many rows are written.
        session: what sends the requests.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float = 30.0,
        push_timeout: float = 300.0,
        session: requests.Session | None = None,
    ) -> None:
        super().__init__(url, api_key, timeout=timeout, session=session)
        self._push_timeout = push_timeout

    def import_predictions(self, project_id: int, predictions: Sequence[dict[str, Any]]) -> int:
        """Store many predictions at once; no event is sent and no task's `updated_at` moves.

        They order the queue well before Label Studio answers: it stores them first and then recounts every task of the project.

        Returns:
            How many were stored. Label Studio drops invalid ones silently, so compare.

        Raises:
            LabelStudioRejected: a task is not of this project; nothing was stored.
        """
        path = f"/api/projects/{project_id}/import/predictions"
        answer = self.post(path, list(predictions), timeout=self._push_timeout)
        return int(answer["created"])

    def model_versions(self, project_id: int) -> dict[str, int]:
        """How many predictions of each version the project holds."""
        answer = self.get(f"/api/projects/{project_id}/model-versions/", params={"extended": "true"})
        return {found["model_version"]: int(found["count"]) for found in answer["static"] if found["model_version"]}

    def tasks_without(self, project_id: int, model_version: str) -> Iterator[int]:
        """Ids of the tasks that have no prediction of a version, ascending.

        Label Studio looks for the text anywhere in a version's name: no other version's name may contain this one.
        """
        tasks = self.list_tasks(project_id, "id", PAGE, without_version(model_version))
        return (int(task["id"]) for task in tasks)

    def delete_model_version(self, project_id: int, model_version: str) -> None:
        """Delete a version's predictions, in one transaction that holds up every submit: on SQLite 4 ms a prediction.

        Never the version that the project selects: Label Studio then selects none. `clear_predictions` is gentler.
        """
        path = f"/api/projects/{project_id}/model-versions/"
        self.delete(path, {"model_version": model_version}, timeout=self._push_timeout)

    def clear_predictions(self, project_id: int, task_ids: Sequence[int]) -> int:
        """Delete all predictions of some tasks, whatever their version, a few at a time with pauses in which annotators can submit.

        Takes about 10 ms a task.

        Returns:
            How many predictions are gone.
        """
        gone = 0
        for start in range(0, len(task_ids), CLEARED_AT_ONCE):
            if start:
                time.sleep(PAUSE)
            gone += self._clear(project_id, list(task_ids[start : start + CLEARED_AT_ONCE]))
        return gone

    def _clear(self, project_id: int, task_ids: list[int]) -> int:
        params = {"id": "delete_tasks_predictions", "project": project_id}
        body = {"selectedItems": {"all": False, "included": task_ids}}
        answer = self.post("/api/dm/actions/", body, params=params, timeout=self._push_timeout)
        return int(answer["processed_items"])
