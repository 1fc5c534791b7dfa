"""The user of a Label Studio of our own: its password, and the access token got by signing in with it."""

import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

import requests

from labelloop.cli.private import write_private
from labelloop.errors import StartError

USERNAME = "labelloop@localhost"
TIMEOUT = 60.0


@dataclass(frozen=True)
class Credentials:
    """How to log in to a Label Studio of our own.

    Attributes:
        username: the user's e-mail address.
        password: a random one, made at the first start.
        api_key: a personal access token; empty until there is one.
        secret_key: what Label Studio signs sessions and tokens with. Of its own random keys one in fifty begins with a dollar
            sign, which it takes for a reference when it reads it again, so that no token works after a restart. Empty: it
            keeps one itself, as it did before there was this.
    """

    username: str
    password: str = field(repr=False)
    api_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)

    @classmethod
    def kept_in(cls, path: Path) -> Self:
        """Read the credentials in `path`, or make some and keep them there, readable by this user alone."""
        if path.exists():
            return cls(**json.loads(path.read_text()))
        made = cls(USERNAME, secrets.token_urlsafe(12), secret_key=secrets.token_urlsafe(48))
        made.keep(path)
        return made

    def keep(self, path: Path) -> None:
        """Write them to `path` in one step, readable by this user alone."""
        write_private(path, json.dumps(asdict(self), indent=2))

    def with_token(self, url: str, path: Path) -> Self:
        """These credentials with an access token that works, made and kept in `path` if there was none.

        Raises:
            StartError: the user cannot log in, or has a token that is not known here.
        """
        if self.api_key:
            return self
        complete = replace(self, api_key=make_token(signed_in(url, self.username, self.password), url, path))
        complete.keep(path)
        return complete


def signed_in(url: str, username: str, password: str) -> requests.Session:
    """A browser's session of a user who has logged in; it carries the CSRF header that changes need.

    Raises:
        StartError: Label Studio did not accept the password.
    """
    session = requests.Session()
    page = f"{url}/user/login/"
    session.get(page, timeout=TIMEOUT)
    form = {"email": username, "password": password, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
    answer = session.post(page, data=form, headers={"Referer": page}, timeout=TIMEOUT, allow_redirects=False)
    if answer.status_code != requests.codes.found:
        raise StartError(f"{username} could not log in to Label Studio at {url}; was the password changed there?")
    session.headers.update({"X-CSRFToken": session.cookies["csrftoken"], "Referer": url})
    return session


def make_token(session: requests.Session, url: str, kept_in: Path) -> str:
    """Make the personal access token of the user who is signed in.

    Raises:
        StartError: there is one already, which Label Studio does not show again.
    """
    answer = session.post(f"{url}/api/token/", timeout=TIMEOUT)
    if answer.status_code == requests.codes.conflict:
        raise StartError(
            f"Label Studio at {url} has an access token for {USERNAME} that {kept_in} does not hold; revoke it there "
            "under Account & Settings, or delete that directory to start with an empty Label Studio."
        )
    answer.raise_for_status()
    token: str = answer.json()["token"]
    return token
