"""One Label Studio over HTTP: authentication, retries, time-outs, and its refusals as our errors."""

import logging
import time
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests

from labelloop.errors import (
    LabelStudioDenied,
    LabelStudioError,
    LabelStudioRejected,
    LabelStudioUnreachable,
    TokenRefused,
)
from labelloop.labelstudio.tokens import LegacyToken, PersonalToken, Token, is_personal

logger = logging.getLogger(__name__)

RETRY_AFTER = (0.2, 0.6, 1.5)
"""Seconds before each further try of a GET."""
LONGEST_REASON = 1000
REFUSED_TOKEN = (requests.codes.bad_request, requests.codes.unauthorized, requests.codes.forbidden)


class _TimedOut(LabelStudioUnreachable):
    """No answer in the time allowed."""


class Connection:
    """Sends requests to one Label Studio.

    Args:
        url: where it answers, with any path prefix and no slash at the end.
        api_key: a personal access token or a legacy token.
        session: what sends; a test mounts an adapter of its own on it.
        timeout: seconds to wait for an access token.
    """

    def __init__(self, url: str, api_key: str, session: requests.Session, timeout: float) -> None:
        self.url = url
        self._timeout = timeout
        self._session = session
        # With a session cookie Label Studio would ask for a CSRF token besides ours.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._key = api_key
        self._token: Token = PersonalToken(self._exchange) if is_personal(api_key) else LegacyToken(api_key)

    def json(self, method: str, path: str, *, timeout: float, params: Any = None, body: Any = None) -> Any:
        """Ask and return the answer's JSON; None when there is none.

        A GET is tried again after a broken connection or a 5xx, and not after a time-out: that has cost enough.

        Raises:
            LabelStudioUnreachable: no answer in `timeout` seconds, or a 5xx.
            LabelStudioDenied: 401 or 403.
            LabelStudioRejected: any other status that is not 2xx, or an answer that is not JSON.
        """
        for pause in RETRY_AFTER if method == "GET" else ():
            try:
                return self._json(method, path, timeout, params, body)
            except _TimedOut:
                raise
            except LabelStudioUnreachable as error:
                # Whoever asked tells of the last try, or there is nothing to tell.
                logger.debug("%s Trying again in %.1f s.", error, pause)
                time.sleep(pause)
        return self._json(method, path, timeout, params, body)

    def stream(self, url: str, *, timeout: float) -> requests.Response:
        """Open an address of this Label Studio with its body unread; a redirect is returned, not followed.

        Raises:
            LabelStudioDenied: the address is not of this Label Studio, or no access token can be had.
            LabelStudioUnreachable: no answer.
        """
        url = as_asked(url)
        if not self.owns(url):
            raise LabelStudioDenied(f"{urlsplit(url).hostname} is not {self.url}; its token stays here.")
        return self._authorised("GET", url, timeout=timeout, stream=True, headers={"Accept-Encoding": "identity"})

    def owns(self, url: str) -> bool:
        """Whether an address lies within this Label Studio: same scheme, host, port and path prefix."""
        ours, theirs = urlsplit(self.url), urlsplit(url)
        return _origin(ours) == _origin(theirs) and (theirs.path + "/").startswith(ours.path.rstrip("/") + "/")

    def _json(self, method: str, path: str, timeout: float, params: Any, body: Any) -> Any:
        response = self._authorised(method, self.url + path, timeout=timeout, params=params, json=body)
        _require_success(response, f"{method} {path}")
        if not response.content:
            return None
        try:
            return response.json()
        except requests.JSONDecodeError:
            raise LabelStudioRejected(
                f"{self.url} answered {method} {path} with something that is not JSON; is a Label Studio there?",
                response.status_code,
            ) from None

    def _authorised(self, method: str, url: str, **how: Any) -> requests.Response:
        header = self._token.header()
        response = self._send(method, url, header, **how)
        if response.status_code == requests.codes.unauthorized and self._token.renew(header):
            response.close()
            response = self._send(method, url, self._token.header(), **how)
        return response

    def _send(self, method: str, url: str, header: str, **how: Any) -> requests.Response:
        def authorise(request: requests.PreparedRequest) -> requests.PreparedRequest:
            if header:
                request.headers["Authorization"] = header
            return request  # an auth of our own also keeps requests from taking one out of a .netrc

        try:
            return self._session.request(method, url, auth=authorise, allow_redirects=False, **how)
        except requests.Timeout:
            raise _TimedOut(
                f"{self.url} did not answer {method} {urlsplit(url).path} within {how['timeout']:.4g} s."
            ) from None
        except requests.RequestException as error:
            raise LabelStudioUnreachable(
                f"{self.url} cannot be reached ({type(error).__name__}); is it running?"
            ) from None

    def _exchange(self) -> str:
        """Buy an access token for the personal access token."""
        path = "/api/token/refresh/"
        response = self._send("POST", self.url + path, "", json={"refresh": self._key}, timeout=self._timeout)
        if response.status_code in REFUSED_TOKEN:
            raise TokenRefused(
                f"{self.url} does not accept the personal access token in LABEL_STUDIO_API_KEY; it may have expired or "
                "been revoked: make a new one under Account & Settings."
            )
        _require_success(response, f"POST {path}")
        try:
            return str(response.json()["access"])
        except (ValueError, KeyError, TypeError):
            raise LabelStudioRejected(
                f"{self.url} gives no access token for the one it has; is a Label Studio there?"
            ) from None


def as_asked(url: str) -> str:
    """An address as it will be asked for, without any "..": this is what is to be judged, not what another parser may read in it.

    Raises:
        ValueError, requests.RequestException: it is none.
    """
    # Once for what is written as "%2e%2e", which the first time only makes plain.
    for _ in range(2):
        url = str(requests.Request("GET", url).prepare().url)
    return url


def _require_success(response: requests.Response, what: str) -> None:
    if response.ok and not response.is_redirect:
        return
    raise _error(response, what)


def _error(response: requests.Response, what: str) -> LabelStudioError:
    status = response.status_code
    if response.is_redirect:
        target = urlsplit(response.headers["location"])
        place = f"{target.scheme}://{target.netloc}" if target.netloc else target.path
        return LabelStudioRejected(
            f"Label Studio redirects {what} to {place}; set LABEL_STUDIO_URL to where it answers.", status
        )
    text = f"Label Studio answered {what} with {status}: {_reason(response)}"
    if status >= 500:
        return LabelStudioUnreachable(text)
    if status in (requests.codes.unauthorized, requests.codes.forbidden):
        return LabelStudioDenied(text)
    return LabelStudioRejected(text, status)


def _reason(response: requests.Response) -> str:
    """What Label Studio says of an error, in one line."""
    try:
        said = response.json()
    except ValueError:
        return response.reason or "no reason given"
    if isinstance(said, dict):
        said = " ".join(str(part) for part in (said.get("detail"), said.get("validation_errors")) if part) or said
    return " ".join(str(said).split())[:LONGEST_REASON]


def _origin(url: Any) -> tuple[str, str, int | None]:
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, (url.hostname or ""), port
