"""How Label Studio is asked, and what is made of its refusals; each answer here is one a real one gives."""

import json
import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from labelloop.errors import LabelStudioDenied, LabelStudioError, LabelStudioRejected, LabelStudioUnreachable
from labelloop.labelstudio import LabelStudio, connection, predictions
from labelloop.settings import Settings
from support.answering import Answer, Answering, session_of
from support.keys import LEGACY, jwt

URL = "http://studio.test:8080"
PERSONAL = jwt(token_type="refresh", exp=9_999_999_999, iat=1)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "RETRY_AFTER", (0.0, 0.0, 0.0))
    monkeypatch.setattr(predictions, "PAUSE", 0.0)


def studio(answer: Answer, key: str = LEGACY, url: str = URL) -> tuple[LabelStudio, Answering]:
    session, adapter = session_of(answer)
    return LabelStudio(url, key, session=session), adapter


def query_of(request: requests.PreparedRequest) -> dict[str, Any]:
    """The query parameters; the Data Manager's own query as an object."""
    found = {name: values[0] for name, values in parse_qs(urlsplit(str(request.url)).query).items()}
    return {**found, "query": json.loads(found["query"])} if "query" in found else found


def test_settings_name_the_label_studio() -> None:
    given = Settings(label_studio_url="http://studio.test:8080/ls/", label_studio_api_key=LEGACY)
    assert LabelStudio.from_settings(given).url == "http://studio.test:8080/ls"


def test_a_legacy_token_goes_out_as_one() -> None:
    client, adapter = studio(lambda request: {"release": "1.23.2"})
    assert client.version() == "1.23.2"
    assert adapter.asked[0].headers["Authorization"] == f"Token {LEGACY}"


def test_a_personal_token_is_exchanged_and_never_sent_itself() -> None:
    access = jwt(iat=0, exp=300)

    def answer(request: requests.PreparedRequest) -> Any:
        if request.path_url == "/api/token/refresh/":
            assert json.loads(request.body or "{}") == {"refresh": PERSONAL}
            assert "Authorization" not in request.headers
            return {"access": access}
        assert request.headers["Authorization"] == f"Bearer {access}"
        return {"id": 1}

    client, adapter = studio(answer, PERSONAL)
    assert client.whoami() == client.whoami() == {"id": 1}
    assert [request.path_url for request in adapter.asked].count("/api/token/refresh/") == 1


def test_an_access_token_refused_before_its_end_is_renewed_once() -> None:
    accepted = jwt(iat=0, exp=300, serial=2)
    sold = iter([jwt(iat=0, exp=300, serial=1), accepted])

    def answer(request: requests.PreparedRequest) -> Any:
        if request.path_url == "/api/token/refresh/":
            return {"access": next(sold)}
        return (
            (200, {"id": 1})
            if request.headers["Authorization"] == f"Bearer {accepted}"
            else (401, {"detail": "expired"})
        )

    client, adapter = studio(answer, PERSONAL)
    assert client.post("/api/x", {"kept": "body"}) == {"id": 1}
    assert [request.path_url for request in adapter.asked] == ["/api/token/refresh/", "/api/x"] * 2
    assert json.loads(adapter.asked[-1].body or "") == {"kept": "body"}


def test_a_token_refused_twice_is_denied_and_not_tried_for_ever() -> None:
    answers = {"/api/token/refresh/": (200, {"access": jwt(iat=0, exp=300)})}
    client, adapter = studio(lambda request: answers.get(request.path_url, (401, {"detail": "no"})), PERSONAL)
    with pytest.raises(LabelStudioDenied, match="401: no"):
        client.whoami()
    assert len(adapter.asked) == 4


def test_a_revoked_personal_token_is_said_to_be_so_without_showing_it() -> None:
    client, _ = studio(lambda request: (401, {"detail": "Token is blacklisted"}), PERSONAL)
    with pytest.raises(LabelStudioDenied, match="expired or been revoked") as raised:
        client.whoami()
    assert PERSONAL not in str(raised.value)


def test_a_get_is_tried_again_after_a_server_error_and_a_broken_connection() -> None:
    troubles: list[Any] = [(502, {}), requests.ConnectionError("reset"), (500, {"detail": "x"}), {"release": "1.23.2"}]

    def answer(request: requests.PreparedRequest) -> Any:
        trouble = troubles.pop(0)
        if isinstance(trouble, Exception):
            raise trouble
        return trouble

    client, adapter = studio(answer)
    assert client.version() == "1.23.2"
    assert len(adapter.asked) == 4


def test_a_server_that_stays_broken_is_unreachable_and_each_try_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client, adapter = studio(lambda request: (503, {"detail": "busy"}))
    with pytest.raises(LabelStudioUnreachable, match="503: busy"):
        client.version()
    assert len(adapter.asked) == 4
    assert caplog.messages == []


def test_what_writes_is_never_sent_twice_by_itself() -> None:
    client, adapter = studio(lambda request: (500, {}))
    for write in (
        lambda: client.post("/api/x", {}),
        lambda: client.patch("/api/x", {}),
        lambda: client.delete("/api/x"),
    ):
        with pytest.raises(LabelStudioUnreachable):
            write()
    assert len(adapter.asked) == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, LabelStudioRejected), (401, LabelStudioDenied), (403, LabelStudioDenied), (404, LabelStudioRejected)],
)
def test_refusals_are_told_apart_and_not_repeated(status: int, error: type[LabelStudioError]) -> None:
    client, adapter = studio(lambda request: (status, {"detail": "why"}))
    with pytest.raises(error, match=f"GET /api/projects/3/ with {status}: why") as raised:
        client.project(3)
    assert len(adapter.asked) == 1
    assert getattr(raised.value, "status", status) == status


def test_what_label_studio_finds_wrong_with_each_field_is_passed_on() -> None:
    said = {"status_code": 400, "detail": "Validation error", "validation_errors": {"url": ["Enter a valid URL."]}}
    client, _ = studio(lambda request: (400, said))
    with pytest.raises(LabelStudioRejected, match=r"Validation error .*url.*Enter a valid URL"):
        client.create_webhook(3, "ml-backend")


def test_a_page_of_html_is_not_taken_for_an_answer() -> None:
    client, _ = studio(lambda request: (200, b"<html>log in</html>"))
    with pytest.raises(LabelStudioRejected, match="is a Label Studio there"):
        client.version()
    client, _ = studio(lambda request: (404, b"<html>" + b"x" * 9999))
    with pytest.raises(LabelStudioRejected) as raised:
        client.version()
    assert len(str(raised.value)) < 200


def test_a_redirect_is_reported_and_the_token_does_not_follow_it() -> None:
    client, adapter = studio(lambda request: (301, b"", {"location": "https://elsewhere.test/api/version?secret=1"}))
    with pytest.raises(LabelStudioRejected, match=r"to https://elsewhere\.test; set LABEL_STUDIO_URL"):
        client.version()
    assert {urlsplit(str(request.url)).hostname for request in adapter.asked} == {"studio.test"}


def test_every_request_has_a_time_limit() -> None:
    session, adapter = session_of(lambda request: {"created": 0, "release": "1"})
    client = LabelStudio(URL, LEGACY, timeout=7, push_timeout=70, session=session)
    client.version()
    client.import_predictions(3, [])
    assert adapter.timeouts == [7, 70]


def test_the_wait_for_an_access_token_has_the_same_limit() -> None:
    session, adapter = session_of(lambda request: {"access": jwt(iat=0, exp=300), "release": "1"})
    LabelStudio(URL, PERSONAL, timeout=7, session=session).version()
    assert adapter.timeouts == [7, 7]


def test_no_answer_in_time_says_so() -> None:
    def answer(request: requests.PreparedRequest) -> Any:
        raise requests.ReadTimeout("slow")

    client, adapter = studio(answer)
    with pytest.raises(LabelStudioUnreachable, match="did not answer GET /api/version within 30 s"):
        client.version()
    assert len(adapter.asked) == 1, "another try would wait as long again"


def test_no_session_cookie_is_kept_for_which_a_csrf_token_would_be_asked() -> None:
    client, adapter = studio(lambda request: (200, {}, {"set-cookie": "sessionid=1; Path=/"}))
    client.whoami()
    client.whoami()
    assert all("Cookie" not in request.headers for request in adapter.asked)


def test_credentials_of_a_netrc_do_not_replace_the_token(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine studio.test login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    client, adapter = studio(lambda request: {})
    client.whoami()
    assert adapter.asked[0].headers["Authorization"] == f"Token {LEGACY}"


def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client, _ = studio(lambda request: (503, {}), PERSONAL)
    with pytest.raises(LabelStudioUnreachable):
        client.whoami()
    assert PERSONAL not in caplog.text


class Tasks:
    """Stands for the Data Manager's list while it changes under the reader's hands."""

    def __init__(self, *tasks: tuple[int, str], largest_page: int = 10**9) -> None:
        self.held = dict(tasks)
        self.largest_page = largest_page

    def __call__(self, request: requests.PreparedRequest) -> Any:
        asked = query_of(request)
        assert (asked["query"]["ordering"], asked["resolve_uri"]) == (["tasks:id"], "false")
        found = sorted(self.held.items())
        for condition in asked["query"]["filters"]["items"]:
            if condition["filter"] == "filter:tasks:id":
                assert condition["operator"] == "greater"
                found = [one for one in found if one[0] > condition["value"]]
            else:
                assert (condition["filter"], condition["operator"]) == ("filter:tasks:updated_at", "greater_or_equal")
                found = [one for one in found if one[1] >= condition["value"]]
        page = found[: min(int(asked["page_size"]), self.largest_page)]
        tasks = [{"id": task_id, "updated_at": moment, "annotations": []} for task_id, moment in page]
        return {"tasks": tasks, "total": len(found)}


def test_all_tasks_come_once_though_some_are_deleted_between_pages() -> None:
    held = Tasks(*((number, "m") for number in range(1, 101)))
    client, _ = studio(held)
    found = []
    for task in client.tasks(3, page_size=10):
        found.append(task["id"])
        if task["id"] == 10:
            for gone in (2, 4, 6):
                del held.held[gone]
    assert found == list(range(1, 101))


def test_a_label_studio_that_allows_small_pages_only_hides_no_task() -> None:
    """TASK_API_PAGE_SIZE_MAX cuts a page in silence."""
    client, _ = studio(Tasks(*((number, "m") for number in range(1, 101)), largest_page=7))
    assert [task["id"] for task in client.tasks(3, page_size=1000)] == list(range(1, 101))


def test_an_empty_project_has_no_tasks() -> None:
    client, _ = studio(Tasks())
    assert list(client.tasks(3)) == []
    assert list(client.tasks(3, updated_since="m")) == []


def test_what_fits_a_page_is_asked_for_once() -> None:
    client, adapter = studio(Tasks((1, "m1"), (2, "m2")))
    assert len(list(client.tasks(3, page_size=2))) == 2
    assert len(adapter.asked) == 1


def test_changed_tasks_alone_come_when_asked() -> None:
    client, _ = studio(Tasks(*((number, f"m{99 - number:02d}") for number in range(1, 60))))
    found = [task["id"] for task in client.tasks(3, updated_since="m60", page_size=7)]
    assert found == list(range(1, 40))


def test_a_task_that_changes_during_the_pull_hides_no_other() -> None:
    held = Tasks(*((number, f"m{number:02d}") for number in range(1, 31)))
    client, _ = studio(held)
    found = []
    for task in client.tasks(3, updated_since="m00", page_size=10):
        found.append(task["id"])
        if task["id"] == 10:
            held.held[3] = held.held[25] = "m50"
    assert found == list(range(1, 31))


def test_more_tasks_changed_in_one_moment_than_a_page_holds() -> None:
    client, _ = studio(Tasks(*((number, "m1") for number in range(1, 51)), (51, "m2")))
    assert len(list(client.tasks(3, updated_since="m0", page_size=8))) == 51


def test_tasks_without_a_version_are_asked_for_with_a_list() -> None:
    """Label Studio takes a plain text for a list of its letters, and finds nothing."""
    client, adapter = studio(lambda request: {"tasks": [{"id": 4}, {"id": 9}], "total": 2})
    assert list(client.tasks_without(3, "v2-x")) == [4, 9]
    items = query_of(adapter.asked[0])["query"]["filters"]["items"]
    assert {
        "filter": "filter:tasks:predictions_model_versions",
        "operator": "not_contains",
        "type": "String",
        "value": ["v2-x"],
    } in items


def test_versions_come_with_their_counts_and_the_nameless_are_left_out() -> None:
    counts = [{"model_version": "v1", "count": 3, "latest": "x"}, {"model_version": None, "count": 1, "latest": "x"}]
    client, _ = studio(lambda request: {"static": counts, "live": None})
    assert client.model_versions(3) == {"v1": 3}


def test_how_many_predictions_were_kept_is_told() -> None:
    client, _ = studio(lambda request: (201, {"created": 1}))
    assert client.import_predictions(3, [{"task": 1}, {"task": 2}]) == 1


def test_predictions_are_cleared_a_few_at_a_time() -> None:
    client, adapter = studio(lambda request: {"processed_items": 2})
    assert client.clear_predictions(3, list(range(60))) == 6
    chunks = [json.loads(request.body or "")["selectedItems"] for request in adapter.asked]
    assert [len(chunk["included"]) for chunk in chunks] == [25, 25, 10]
    assert not any(chunk["all"] for chunk in chunks)
    assert client.clear_predictions(3, []) == 0


def test_no_next_task_is_no_error() -> None:
    client, _ = studio(lambda request: (404, {"detail": "There are no tasks left"}))
    assert client.next_task(3) is None
    client, _ = studio(lambda request: (403, {"detail": "not yours"}))
    with pytest.raises(LabelStudioDenied):
        client.next_task(3)


def test_all_pages_of_projects_are_read() -> None:
    def answer(request: requests.PreparedRequest) -> Any:
        page = int(query_of(request)["page"])
        return {"results": [{"id": page}], "next": "http://localhost:8080/api/projects?page=2" if page < 3 else None}

    client, _ = studio(answer)
    assert [project["id"] for project in client.projects()] == [1, 2, 3]


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("http://studio.test:8080/ls/data/upload/1/x.png", True),
        ("http://studio.test:8080/ls", True),
        ("http://STUDIO.test:8080/ls/x", True),
        ("http://studio.test:8080/lsx/data", False),
        ("http://studio.test:8080/other", False),
        ("http://studio.test:8080/ls/../other", False),
        ("http://studio.test:8080/ls/.%2e/other", False),
        ("http://studio.test/ls/x", False),
        ("https://studio.test:8080/ls/x", False),
        ("http://studio.test.evil.test:8080/ls/x", False),
        ("http://studio.test:8080@evil.test/ls/x", False),
        ("http://evil.test/?http://studio.test:8080/ls/x", False),
    ],
)
def test_the_token_goes_to_label_studio_alone(url: str, inside: bool) -> None:
    client, adapter = studio(lambda request: (200, b"bytes"), url="http://studio.test:8080/ls")
    if inside:
        assert client.open_media(url, timeout=5).content == b"bytes"
        assert adapter.asked[0].headers["Authorization"] == f"Token {LEGACY}"
    else:
        with pytest.raises(LabelStudioDenied, match="its token stays here"):
            client.open_media(url, timeout=5)
        assert adapter.asked == []


def test_the_usual_port_may_be_left_out() -> None:
    client, _ = studio(lambda request: {}, url="https://studio.test")
    assert client.owns("https://studio.test:443/data/x")
    assert not client.owns("http://studio.test/data/x")
