"""Checks of what all projects share: Label Studio and the token, the store, Redis, workers, the server."""

from collections.abc import Iterator

import requests
from redis.exceptions import RedisError

from labelloop.errors import StoreError
from labelloop.labelstudio.tokens import is_personal
from labelloop.service.doctor.case import Case
from labelloop.service.doctor.finding import Seen, broken, ok, warn
from labelloop.service.queueing import QUEUES
from labelloop.service.store import without_password
from labelloop.service.webhooks import basic_header
from labelloop.service.workers import listening_workers

TESTED = (1, 23)
SERVER_TIMEOUT = 3.0


def label_studio(case: Case) -> Iterator[Seen]:
    """Label Studio answers, and is of a version whose ways are known."""
    door = case.context.label_studio
    version = door.version()
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < TESTED:
        yield warn(
            f"version {version} at {door.url}", f"Labelloop is written for {TESTED[0]}.{TESTED[1]}; bring it up to date"
        )
    else:
        yield ok(f"version {version} at {door.url}")


def token(case: Case) -> Iterator[Seen]:
    """The token is accepted."""
    user = case.context.label_studio.whoami()
    kind = (
        "personal access token"
        if is_personal(case.settings.label_studio_api_key.get_secret_value())
        else "legacy token"
    )
    yield ok(f"{kind} of {user.get('email') or user.get('username') or 'a user without a name'}")


def projects(case: Case) -> Iterator[Seen]:
    """The token may see projects, and some are served."""
    visible = sum(1 for _ in case.context.label_studio.projects())
    served = case.context.projects.all()
    if not served:
        yield warn(f"none of {visible} is connected", "labelloop connect --project ID --backend-url URL")
    else:
        yield ok(f"{len(served)} connected of {visible} that the token may see")


def store(case: Case) -> Iterator[Seen]:
    """The store takes files and gives them back."""
    try:
        case.context.store.check_writable()
    except StoreError as error:
        yield broken(str(error), _store_mend(case.settings.store_location))
    else:
        yield ok(f"{case.context.store.location} can be written")


def _store_mend(location: str) -> str:
    if location.lower().startswith(("s3:", "s3a:")):
        return (
            "see that the bucket is there, and that AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for a server of your own, "
            "AWS_ENDPOINT_URL are set here and right"
        )
    return f"make {without_password(location)} writable for this user, free some space, or set LABELLOOP_STORE_URL"


def redis(case: Case) -> Iterator[Seen]:
    """Redis answers."""
    try:
        version = case.context.redis.info("server")["redis_version"]
    except RedisError as error:
        yield broken(f"does not answer: {error}", "run `labelloop up`, or set REDIS_URL to a Redis that runs")
    else:
        yield ok(f"version {version} answers")


def workers(case: Case) -> Iterator[Seen]:
    """A worker listens on every queue."""
    alive = listening_workers(case.context.redis)
    missing = [name for name in QUEUES if not any(name in worker.queue_names() for worker in alive)]
    if missing:
        listening = f"none of {len(alive)} listens on {', '.join(missing)}" if alive else "no worker listens"
        yield broken(listening, "run `labelloop up`, or `labelloop worker` beside the server")
    else:
        yield ok(f"{len(alive)} listening")


def server(case: Case) -> Iterator[Seen]:
    """The server answers here, with the credentials of the settings."""
    url = case.backend_url
    headers = basic_header(case.settings.basic_auth.get_secret_value())
    try:
        answer = requests.get(f"{url}/health", headers=headers, timeout=SERVER_TIMEOUT)
    except requests.RequestException as error:
        yield warn(
            f"{url} does not answer from here ({type(error).__name__})", "run `labelloop up` or `labelloop serve`"
        )
        return
    if answer.status_code == requests.codes.unauthorized:
        yield broken(f"{url} asks for other credentials", "start it with the LABELLOOP_BASIC_AUTH that is set here")
    elif not answer.ok:
        yield broken(f"{url} answers {answer.status_code}", "look at the server's log")
    else:
        yield ok(f"{url} answers in {1000 * answer.elapsed.total_seconds():.0f} ms")
