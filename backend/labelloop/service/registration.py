"""Registers our address as the backend of a project, and explains what Label Studio says when it refuses."""

import re
from typing import Any

from labelloop.errors import LabelStudioDenied, LabelStudioError, LabelStudioRejected
from labelloop.labelstudio import LabelStudio
from labelloop.service.addresses import same_address

TITLE = "Labelloop"
CONNECTED = "CO"

PRIVATE_ADDRESS_MEND = (
    "start Label Studio with LABEL_STUDIO_ML_BLOCK_LOCAL_IP=false and LABEL_STUDIO_SSRF_PROTECTION_ENABLED=false "
    "(or LABEL_STUDIO_USE_DEFAULT_BANNED_SUBNETS=false), then connect again"
)


def is_blocked(error: LabelStudioError) -> bool:
    """Whether Label Studio refused an address for lying in a private network."""
    return "reserved network" in str(error)


def ensure_backend(
    label_studio: LabelStudio, project_id: int, url: str, basic_auth: str, former_id: int | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Have the project call the backend at `url`.

    Args:
        label_studio: where.
        project_id: which project.
        url: our address.
        basic_auth: `user:password` the backend asks for, or empty.
        former_id: a backend of ours that is moved to `url` when none is there.

    Returns:
        The backend as Label Studio shows it, and what was changed, one line each.

    Raises:
        LabelStudioError: Label Studio refuses the address, or finds no backend there; the message says how to mend it.
    """
    backends = label_studio.ml_backends(project_id)
    here = backends_at(url, backends) or [backend for backend in backends if backend["id"] == former_id]
    fields = {"url": url, "project": project_id, **_auth_fields(basic_auth)}
    if not here:
        return _create(label_studio, project_id, fields), [f"registered the backend {url}"]
    backend = here[0]
    faults = _faults(backend, url, basic_auth)
    if not faults:
        return backend, []
    try:
        return label_studio.update_ml_backend(backend["id"], **fields), [
            f"mended the backend {url}: {', '.join(faults)}"
        ]
    except LabelStudioError as error:
        raise _explained(error, url) from error


def backends_at(url: str, backends: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the backends that are called at that address."""
    return [backend for backend in backends if same_address(backend["url"], url)]


def _auth_fields(basic_auth: str) -> dict[str, Any]:
    if not basic_auth:
        return {"auth_method": "NONE"}
    user, _, password = basic_auth.partition(":")
    return {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password}


def _faults(backend: dict[str, Any], url: str, basic_auth: str) -> list[str]:
    faults = []
    if not same_address(backend["url"], url):
        faults.append(f"it was at {backend['url']}")
    if backend["auth_method"] != ("BASIC_AUTH" if basic_auth else "NONE") or (
        basic_auth and backend["basic_auth_user"] != basic_auth.partition(":")[0]
    ):
        faults.append("its credentials were not those of LABELLOOP_BASIC_AUTH")
    if not faults and backend["state"] != CONNECTED:
        faults.append(f"it was {str(backend.get('readable_state') or backend['state']).lower()}")
    return faults


def _create(label_studio: LabelStudio, project_id: int, fields: dict[str, Any]) -> dict[str, Any]:
    try:
        return label_studio.create_ml_backend(**fields, title=TITLE)
    except LabelStudioError as error:
        # With ML_BLOCK_LOCAL_IP off and SSRF protection on, Label Studio answers 403 and yet keeps the backend.
        kept = backends_at(fields["url"], label_studio.ml_backends(project_id)) if is_blocked(error) else []
        if kept:
            return kept[0]
        raise _explained(error, fields["url"]) from error


def _explained(error: LabelStudioError, url: str) -> LabelStudioError:
    """The error in words that say what to do."""
    if is_blocked(error):
        return LabelStudioDenied(f"Label Studio refuses {url} because it is a private address; {PRIVATE_ADDRESS_MEND}.")
    text = re.sub(r"<[^>]+>", "", str(error))
    if "resolve hostname" in text:
        return LabelStudioRejected(
            f"Label Studio does not know the host of {url}; give a name or an address that the machine Label Studio runs on can find."
        )
    if "authentication parameters" in text:
        return LabelStudioRejected(
            f"The backend at {url} asks for other credentials; set LABELLOOP_BASIC_AUTH here to what the server was started with."
        )
    if "health check failed" in text:
        return LabelStudioRejected(
            f"Label Studio cannot reach a backend at {url}; start one (`labelloop up`) and give an address that the machine "
            f"Label Studio runs on can reach. {_reason(text)}".strip()
        )
    if "valid ML backend" in text:
        return LabelStudioRejected(
            f"What answers at {url} is not a backend Label Studio can use; is it `labelloop serve`? {_reason(text)}".strip()
        )
    return error


def _reason(text: str) -> str:
    """The heart of what Label Studio says of a failed call, which may be a Python traceback's worth of text."""
    found = re.search(r"\[Errno -?\d+\] ([\w ]+)|(timed out)|Reason: (.{1,200})", text)
    return f"Label Studio says: {next(part for part in found.groups() if part).strip()}." if found else ""
