"""Makes a project's webhook right: exactly one for our address, active, with every action, payload and credentials."""

import base64
from collections.abc import Sequence
from typing import Any

from labelloop.labelstudio import LabelStudio
from labelloop.service.addresses import same_address

WANTED: dict[str, Any] = {"is_active": True, "send_payload": True, "send_for_all_actions": True}
"""What a webhook of ours must be set to, beside its address and headers."""


def basic_header(user_and_password: str) -> dict[str, str]:
    """The header of HTTP Basic authentication; empty without credentials."""
    if not user_and_password:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(user_and_password.encode()).decode()}"}


def webhooks_to(url: str, webhooks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the webhooks that call that address, the oldest first."""
    return sorted((hook for hook in webhooks if same_address(hook["url"], url)), key=lambda hook: int(hook["id"]))


def faults_of(webhook: dict[str, Any], headers: dict[str, str]) -> list[str]:
    """What keeps a webhook from telling us everything, a phrase each; empty when it is right."""
    said = {
        "is_active": "it is inactive",
        "send_payload": "it sends no payload",
        "send_for_all_actions": "it leaves actions out",
    }
    faults = [said[field] for field, wanted in WANTED.items() if webhook.get(field) is not wanted]
    if not headers.items() <= (webhook.get("headers") or {}).items():
        faults.append("it does not send the credentials of LABELLOOP_BASIC_AUTH")
    return faults


def mend_webhooks(label_studio: LabelStudio, project_id: int, url: str, headers: dict[str, str]) -> list[str]:
    """Leave exactly one right webhook to `url` on the project.

    Args:
        label_studio: where.
        project_id: on which project.
        url: the address it calls.
        headers: what it must send; headers it has besides stay.

    Returns:
        What was changed, one line each; empty when nothing had to be.
    """
    found = webhooks_to(url, label_studio.webhooks(project_id))
    if not found:
        label_studio.create_webhook(project_id, url, headers=headers, **WANTED)
        return [f"added the webhook to {url}"]
    first, *doubles = found
    changes = []
    if faults := faults_of(first, headers):
        label_studio.update_webhook(
            first["id"], url=first["url"], headers={**(first.get("headers") or {}), **headers}, **WANTED
        )
        changes.append(f"mended the webhook to {url}: {', '.join(faults)}")
    for double in doubles:
        label_studio.delete_webhook(double["id"])
        changes.append(f"removed a second webhook to {url}, which told everything twice")
    return changes


def remove_webhooks(label_studio: LabelStudio, project_id: int, url: str) -> list[str]:
    """Delete every webhook to `url` on the project; says what went."""
    found = webhooks_to(url, label_studio.webhooks(project_id))
    for webhook in found:
        label_studio.delete_webhook(webhook["id"])
    return [f"removed the webhook to {url}" for _ in found]
