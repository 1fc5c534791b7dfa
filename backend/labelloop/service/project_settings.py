"""The three settings of a Label Studio project that decide the order of its queue and what annotators see."""

from collections.abc import Collection, Mapping
from typing import Any

from labelloop.errors import LabelStudioRejected
from labelloop.labelstudio import LabelStudio
from labelloop.service.versions import is_version_name
from labelloop.settings import Settings

UNCERTAINTY = "Uncertainty sampling"
FIELDS = ("sampling", "show_collab_predictions", "model_version")


def settle(
    label_studio: LabelStudio, before: Mapping[str, Any], settings: Settings, live: str | None
) -> tuple[dict[str, Any], list[str]]:
    """Set the project so that the scores of the live version order its queue.

    `model_version` becomes the live version once Label Studio has predictions of it. Until then it stays what it was, but never the
    title of a backend: scores of no prediction match a title, so the order would be random.

    Args:
        label_studio: where.
        before: the project as it was before anything was done to it.
        settings: whether to keep the sampling, and whether annotators see predictions.
        live: the live version, None before the first.

    Returns:
        The settings now, and what has changed since `before`, one line each.
    """
    project_id = int(before["id"])
    wanted: dict[str, Any] = {"show_collab_predictions": not settings.blind}
    if settings.sampling:
        wanted["sampling"] = UNCERTAINTY
    now = label_studio.project(project_id)
    version = _version_to_use(label_studio, project_id, _value(now, "model_version"), live)
    # Hiding predictions blanks the model version, so it is set in a request of its own, after.
    now = _update(label_studio, now, wanted)
    now = _update(label_studio, now, {"model_version": version})
    return {name: now[name] for name in wanted}, _differences(before, now)


def switch_queue(label_studio: LabelStudio, project_id: int, settings: Settings, version: str) -> None:
    """Let the scores of a version order the queue; Label Studio must have predictions of it.

    Args:
        label_studio: where.
        project_id: which project.
        settings: whether to keep the sampling, and whether annotators see predictions.
        version: the model version.
    """
    wanted: dict[str, Any] = {"sampling": UNCERTAINTY} if settings.sampling else {}
    if settings.blind:
        wanted["show_collab_predictions"] = False
    # Hiding predictions blanks the model version, so it is set in a request of its own, after.
    now = _update(label_studio, label_studio.project(project_id), wanted)
    _update(label_studio, now, {"model_version": version})


def put_back(
    label_studio: LabelStudio,
    before: Mapping[str, Any],
    former: Mapping[str, Any],
    ours: Mapping[str, Any],
    titles: Collection[str],
) -> tuple[list[str], list[str]]:
    """Restore what the project was set to before `settle`, where it is still what `settle` made it.

    Args:
        label_studio: where.
        before: the project as it was just before.
        former: the settings to restore.
        ours: those that `settle` chose.
        titles: titles of backends; like the name of a version of ours, one of them as model version gives way to the former.

    Returns:
        What has changed since `before`, and what could not be restored, one line each.
    """
    now = label_studio.project(int(before["id"]))
    restored = {name: former[name] for name, value in ours.items() if name in former and now[name] == value}
    current = _value(before, "model_version")
    ours_now = current == "" or current in titles or is_version_name(current)
    version = (former.get("model_version") or "") if ours_now else current
    now = _update(label_studio, now, restored)
    warnings = []
    try:
        now = _update(label_studio, now, {"model_version": version})
    except LabelStudioRejected:
        warnings.append(
            f"The project's former model version {version!r} has no predictions any more, so none is selected now."
        )
        now = _update(label_studio, now, {"model_version": ""})
    return _differences(before, now), warnings


def _version_to_use(label_studio: LabelStudio, project_id: int, current: str, live: str | None) -> str:
    if live and label_studio.model_versions(project_id).get(live):
        return live
    titles = {backend["title"] for backend in label_studio.ml_backends(project_id)}
    return "" if current in titles else current


def _update(label_studio: LabelStudio, now: dict[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    different = {name: value for name, value in wanted.items() if _value(now, name) != value}
    return label_studio.update_project(int(now["id"]), **different) if different else now


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        f"set {name} to {_said(now, name)} (was {_said(before, name)})"
        for name in FIELDS
        if _value(before, name) != _value(now, name)
    ]


def _value(project: Mapping[str, Any], name: str) -> Any:
    """A setting; Label Studio gives None and an empty string for the same thing."""
    return "" if project[name] is None else project[name]


def _said(project: Mapping[str, Any], name: str) -> str:
    value = _value(project, name)
    return "none" if value == "" else str(value)
