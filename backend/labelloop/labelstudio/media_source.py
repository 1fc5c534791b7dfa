"""Where the media of a task may be fetched from, and fetching it without trusting it.

What a task refers to was written by whoever imported it, so an address is followed only to this Label Studio, where our token
goes along, and to hosts the operator listed, where it does not; every redirect is judged anew. Nothing is read from our disk.
"""

import base64
import contextlib
import re
import time
from collections.abc import Collection
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from labelloop.errors import LabelStudioError, MediaBroken, MediaUnavailable
from labelloop.labelstudio.client import LabelStudio
from labelloop.labelstudio.connection import as_asked
from labelloop.labelstudio.silent_hosts import SilentHosts

STORAGES = frozenset({"s3", "gs", "azure-blob"})
"""Schemes of storage links that Label Studio resolves."""
REDIRECTS = 5
CHUNK = 64 * 1024

_MEDIA_PATH = re.compile(r"/(data|static|storage-data)/|/(tasks|projects)/\d+/(resolve|presign)/")
_LOST_UPLOAD = b"'NoneType' object has no attribute 'has_permission'"
"""How Label Studio 1.23.2 says, with a 500, that an upload has been deleted."""
_LATER = frozenset({401, 403, 408, 425, 429})


def address_of(value: str, task_id: int, label_studio: str) -> str:
    """The http(s) address of what a task refers to.

    Args:
        value: an http(s) address, a path on Label Studio or a storage link.
        task_id: the task, through which Label Studio resolves storage links.
        label_studio: URL of Label Studio.

    Raises:
        MediaBroken: it is none of these.
    """
    scheme, separator, _ = value.partition("://")
    if separator and scheme.lower() in STORAGES:
        link = base64.urlsafe_b64encode(value.encode(errors="replace")).decode()
        return f"{label_studio}/tasks/{task_id}/resolve/?fileuri={link}"
    if separator and scheme.lower() in ("http", "https"):
        return value
    if value.startswith("/") and not value.startswith("//"):
        prefix = urlsplit(label_studio).path
        return label_studio + (value.removeprefix(prefix) if value.startswith(f"{prefix}/") else value)
    raise MediaBroken(
        f"{value!a:.80} is neither an http(s) address, nor a path on Label Studio, nor a storage link it resolves."
    )


class MediaSource:
    """Downloads from this Label Studio and from listed hosts.

    Args:
        client: the Label Studio.
        hosts: names of further hosts, with `:port` where only that port is meant.
        timeout: seconds one download may take.
        max_bytes: largest body.
    """

    def __init__(self, client: LabelStudio, hosts: Collection[str], *, timeout: float, max_bytes: int) -> None:
        self._client = client
        self._hosts = frozenset(host.lower() for host in hosts)
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._elsewhere = requests.Session()
        self._silent = SilentHosts()

    def download(self, url: str) -> bytes:
        """The body at an address.

        Raises:
            MediaBroken: the host is not allowed, there is no such file, or it is too large.
            MediaUnavailable: not now: no answer, too slow, refused, or a 5xx.
        """
        deadline = time.monotonic() + self._timeout
        try:
            for _ in range(REDIRECTS + 1):
                with self._silent.asking(_host(url)), contextlib.closing(self._open(url, deadline)) as response:
                    if not response.is_redirect:
                        return self._read(response, deadline)
                    url = _joined(url, response.headers["location"])
        except LabelStudioError as error:
            raise MediaUnavailable(str(error)) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise MediaUnavailable(f"{_host(url)} does not deliver it ({type(error).__name__}).") from None
        raise MediaBroken(f"it is redirected more than {REDIRECTS} times.")

    def _open(self, url: str, deadline: float) -> requests.Response:
        try:
            url = as_asked(url)
            parts = urlsplit(url)
            ours, places = self._client.owns(url), {parts.hostname or "", f"{parts.hostname}:{parts.port}"}
        except (ValueError, requests.RequestException):
            raise MediaBroken(f"{url!a:.80} is not an address that can be asked for.") from None
        timeout = deadline - time.monotonic()
        if timeout <= 0:
            raise MediaUnavailable(f"{_host(url)} was reached by redirects that took longer than {self._timeout:g} s.")
        if ours:
            return self._open_ours(url, timeout)
        if parts.scheme not in ("http", "https") or not places & self._hosts:
            raise MediaBroken(
                f"{_host(url)} is neither Label Studio nor listed in LABELLOOP_MEDIA_HOSTS; add it there if it may be trusted."
            )
        return self._elsewhere.get(
            url,
            auth=_as_it_is,
            headers={"Accept-Encoding": "identity"},
            timeout=timeout,
            allow_redirects=False,
            stream=True,
        )

    def _open_ours(self, url: str, timeout: float) -> requests.Response:
        path = urlsplit(url).path.removeprefix(urlsplit(self._client.url).path)
        if not _MEDIA_PATH.match(path):
            raise MediaBroken(f"{path!a:.80} on Label Studio is no media.")
        return self._client.open_media(url, timeout=timeout)

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        _require_body(response)
        body = bytearray()
        if _announced(response) <= self._max_bytes:
            # Whatever has arrived is looked at: waiting for a full chunk, a trickle would never reach the deadline.
            while chunk := response.raw.read1(CHUNK, decode_content=False):
                body += chunk
                if len(body) > self._max_bytes:
                    break
                if time.monotonic() > deadline:
                    raise MediaUnavailable(f"{_host(response.url)} did not deliver it within {self._timeout:g} s.")
            else:
                return bytes(body)
        raise MediaBroken(f"it is larger than the {self._max_bytes:,} bytes of LABELLOOP_MEDIA_MAX_BYTES.")


def _require_body(response: requests.Response) -> None:
    status, host = response.status_code, _host(response.url)
    if status == requests.codes.server_error and _LOST_UPLOAD in response.raw.read1(4096):
        raise MediaBroken(f"{host} no longer has this upload.")
    if status >= 500 or status in _LATER:
        raise MediaUnavailable(f"{host} answers {status} when asked for it.")
    if status != requests.codes.ok:
        raise MediaBroken(f"{host} answers {status} when asked for it: it is not there.")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise MediaBroken(f"{host} sends it compressed, which was not asked for and may unpack to any size.")


def _announced(response: requests.Response) -> int:
    length = response.headers.get("content-length", "")
    return int(length) if re.fullmatch(r"[0-9]{1,18}", length) else 0


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise MediaBroken(f"{_host(url)} redirects to what is no address.") from None


def _host(url: str) -> str:
    """The host alone: paths and queries may carry signatures."""
    return ascii(url.partition("://")[2].partition("/")[0].rpartition("@")[2])[1:-1][:100]


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps `requests` from sending credentials out of a .netrc or the address."""
    return request
