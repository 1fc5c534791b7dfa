"""The address a Label Studio calls us at, here or from elsewhere, and what that Label Studio makes of its host name."""

import ipaddress
import re
from urllib.parse import urlsplit

from labelloop.errors import SettingsError
from labelloop.settings import Settings

_LAST_LABEL = re.compile(r"[^\W\d_]{2,63}|xn--[a-z0-9]+", re.IGNORECASE)


def local_address(settings: Settings) -> str:
    """Where a Label Studio on this machine calls the server."""
    host = {"localhost": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def backend_address(url: str) -> str:
    """The backend's URL as Label Studio shall keep it, without a slash at its end.

    Raises:
        SettingsError: it is not an http(s) URL, or carries credentials, a query or a fragment.
    """
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        usable = False
    if not usable:
        raise SettingsError("That is not an address Label Studio can call; give a URL like http://host.name:9090.")
    if parts.username or parts.password:
        raise SettingsError(
            "The backend's URL must not carry a password, which Label Studio would show to everyone; "
            "set LABELLOOP_BASIC_AUTH=user:password and give the URL without it."
        )
    if parts.query or parts.fragment:
        raise SettingsError(f"{url} must end with a host, a port or a path; leave out what follows ? or #.")
    return url.strip().rstrip("/")


def webhook_address(backend_url: str) -> str:
    """Where Label Studio sends the events of a project whose backend is at that URL."""
    return f"{backend_url.rstrip('/')}/webhook"


def takes_events(backend_url: str) -> bool:
    """Whether Label Studio accepts a webhook to that host.

    It silently makes none for a name without a dot or with an underscore, `localhost` apart, though the backend shows as connected.
    """
    host = (urlsplit(backend_url).hostname or "").rstrip(".")
    *before, last = host.split(".")
    return host == "localhost" or _is_ip(host) or bool(before and "_" not in host and _LAST_LABEL.fullmatch(last))


def same_address(one: str, other: str) -> bool:
    """Whether two URLs are the same but for a slash at the end and the case of the host."""
    return _comparable(one) == _comparable(other)


def _comparable(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower(), parts.path.rstrip("/")


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
