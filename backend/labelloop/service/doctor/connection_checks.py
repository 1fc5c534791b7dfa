"""Checks of how a project and this backend are connected: the backend, its address, the webhook, and whether events arrive."""

import time
from collections.abc import Iterator

from labelloop.service.addresses import same_address, takes_events, webhook_address
from labelloop.service.connection import DOTTED_NAME_MEND
from labelloop.service.doctor.case import Case
from labelloop.service.doctor.finding import Seen, broken, ok, warn
from labelloop.service.marks import Marks
from labelloop.service.registration import CONNECTED
from labelloop.service.webhooks import basic_header, faults_of, webhooks_to

EVENT_PATIENCE = 3.0
"""Seconds to wait for an event; Label Studio sends it within the request, unless it has a Redis of its own."""


def connection(case: Case) -> Iterator[Seen]:
    """The project is served from this store."""
    if case.context.projects.get(case.project.key) is None:
        yield broken("the project is not connected", case.connect_command)
    elif case.connection is None:
        yield warn("connected by hand, so `labelloop disconnect` cannot put back what was before", case.connect_command)


def backend(case: Case) -> Iterator[Seen]:
    """Our backend is registered, and Label Studio reaches it."""
    found = case.backend
    if found is None:
        elsewhere = ", ".join(str(other["url"]) for other in case.backends)
        seen = f"no backend at {case.backend_url}" + (f", only {elsewhere}" if elsewhere else "")
        yield broken(seen, case.connect_command)
    elif found["state"] != CONNECTED:
        why = f": {found['error_message']}" if found.get("error_message") else ""
        yield broken(
            f"Label Studio cannot use {found['url']} ({found['readable_state']}{why})",
            "run `labelloop up` at an address that the machine Label Studio runs on can reach, with the LABELLOOP_BASIC_AUTH it knows",
        )
    else:
        yield ok(f"Label Studio reaches {found['url']}")


def rivals(case: Case) -> Iterator[Seen]:
    """Ours is the backend that is asked for predictions."""
    if len(case.backends) > 1:
        first = case.backends[0]
        ours = case.backend is not None and first["id"] == case.backend["id"]
        seen = f"{len(case.backends)} backends; only the first predicts, {first['title']!r} at {first['url']}"
        yield warn(seen, "remove the others under Settings > Model" if ours else "remove it under Settings > Model")


def host_name(case: Case) -> Iterator[Seen]:
    """Label Studio accepts webhooks to the host."""
    if not takes_events(case.backend_url):
        yield broken(f"Label Studio sends no events to the host of {case.backend_url}", DOTTED_NAME_MEND)


def webhook(case: Case) -> Iterator[Seen]:
    """There is exactly one webhook to us, and it is right."""
    found = webhooks_to(case.webhook_url, case.webhooks)
    faults = faults_of(found[0], basic_header(case.settings.basic_auth.get_secret_value())) if found else []
    if not found:
        yield broken(
            f"none calls {case.webhook_url}, so new labels are only found by reconciliation", case.connect_command
        )
    elif faults:
        yield broken(f"the webhook to {case.webhook_url} is not right: {', '.join(faults)}", case.connect_command)
    elif len(found) > 1:
        yield warn(
            f"{len(found)} webhooks call {case.webhook_url}, so every change is told {len(found)} times",
            case.connect_command,
        )
    else:
        yield ok(f"active, to {case.webhook_url}")


def strays(case: Case) -> Iterator[Seen]:
    """No webhook is left behind by a backend that is gone."""
    homes = [*(webhook_address(str(found["url"])) for found in case.backends), case.webhook_url]
    for hook in case.webhooks:
        at_home = any(same_address(hook["url"], home) for home in homes)
        if str(hook["url"]).endswith("/webhook") and not at_home and hook["is_active"]:
            yield warn(
                f"a webhook calls {hook['url']}, where no backend is registered; it may delay every submit by a second",
                "remove it under Settings > Webhooks if nothing needs it",
            )


def events(case: Case) -> Iterator[Seen]:
    """An event sent by Label Studio arrives: the project is saved as it is, which it tells its webhooks."""
    if not webhooks_to(case.webhook_url, case.webhooks):
        return
    marks = Marks(case.context.redis, case.project.slug)
    before = marks.heard()
    started = time.monotonic()
    case.context.label_studio.update_project(int(case.seen["id"]), sampling=case.seen["sampling"])
    while marks.heard() == before:
        if time.monotonic() - started > EVENT_PATIENCE:
            yield broken(
                f"an event was sent and did not arrive within {EVENT_PATIENCE:.0f} s",
                f"look in Label Studio's log for what it says of {case.webhook_url}, and in the server's for a 401",
            )
            return
        time.sleep(0.05)
    yield ok(f"one arrived after {1000 * (time.monotonic() - started):.0f} ms")
