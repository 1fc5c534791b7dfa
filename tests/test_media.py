"""Media is fetched from where it may be, in bounded size and time, and the token stays with Label Studio."""

import base64
import gzip
import io
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from labelloop.errors import MediaBroken, MediaUnavailable
from labelloop.labelstudio import LabelStudio, MediaFetcher, silent_hosts
from labelloop.labelstudio.media_source import address_of
from labelloop.records import Modality
from labelloop.settings import Settings
from support.keys import LEGACY
from support.site import Handler, Site


def png(colour: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (colour, 0, 0)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def studio() -> Iterator[Site]:
    """Stands for Label Studio's media paths."""
    with Site() as site:
        yield site


@pytest.fixture
def elsewhere() -> Iterator[Site]:
    """Another host, of the same machine by its other name."""
    with Site("127.0.0.2") as site:
        yield site


@pytest.fixture
def fetch(studio: Site, tmp_path: Path) -> Callable[..., bytes]:
    def fetch(value: str, task_id: int = 7, **changed: Any) -> bytes:
        settings = Settings(label_studio_url=studio.url, label_studio_api_key=LEGACY, **changed)
        fetcher = MediaFetcher(LabelStudio.from_settings(settings), tmp_path / "media", settings)
        return fetcher.fetch(task_id, value, Modality.IMAGE)

    return fetch


def test_an_upload_is_fetched_with_the_token_and_kept(studio: Site, fetch: Callable[..., bytes]) -> None:
    studio.pages["/data/upload/1/x.png"] = png()
    assert fetch("/data/upload/1/x.png") == png()
    assert fetch("/data/upload/1/x.png") == png()
    assert len(studio.asked) == 1
    assert studio.tokens() == {f"Token {LEGACY}"}


def test_an_absolute_address_of_label_studio_is_the_same(studio: Site, fetch: Callable[..., bytes]) -> None:
    studio.pages["/data/upload/1/a%20b.png"] = png()
    assert fetch(f"{studio.url}/data/upload/1/a b.png") == png()


def test_local_files_come_through_label_studio_and_never_from_this_disk(
    studio: Site, fetch: Callable[..., bytes], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(9))
    studio.pages["/data/local-files/?d=set/x.png"] = png()
    assert fetch("/data/local-files/?d=set/x.png") == png()
    with pytest.raises(MediaBroken, match="404"):
        fetch(f"/data/local-files/?d={secret}")
    for value in (str(secret), f"file://{secret}"):
        with pytest.raises(MediaBroken):
            fetch(value)


def test_a_storage_link_is_resolved_through_the_task(studio: Site, fetch: Callable[..., bytes]) -> None:
    link = base64.urlsafe_b64encode(b"s3://bucket/a b.png").decode()
    studio.pages[f"/tasks/7/resolve/?fileuri={quote(link, safe='=')}"] = png()
    assert fetch("s3://bucket/a b.png") == png()


def test_a_resolved_link_may_lead_to_a_listed_host_without_the_token(
    studio: Site, elsewhere: Site, fetch: Callable[..., bytes]
) -> None:
    link = base64.urlsafe_b64encode(b"gs://bucket/x.png").decode()
    to = {"Location": f"{elsewhere.url}/x.png?signature=s3cret"}
    studio.pages[f"/tasks/7/resolve/?fileuri={link}"] = (303, to, b"")
    elsewhere.pages["/x.png?signature=s3cret"] = png()
    with pytest.raises(MediaBroken, match=r"127\.0\.0\.2.*LABELLOOP_MEDIA_HOSTS") as raised:
        fetch("gs://bucket/x.png")
    assert "s3cret" not in str(raised.value)
    assert elsewhere.asked == []
    assert fetch("gs://bucket/x.png", media_hosts=["127.0.0.2"]) == png()
    assert elsewhere.tokens() == {None}


@pytest.mark.parametrize("listed", ["127.0.0.2", "host:port"])
def test_a_listed_host_is_asked_without_the_token(elsewhere: Site, fetch: Callable[..., bytes], listed: str) -> None:
    elsewhere.pages["/x.png"] = png()
    host = elsewhere.url.removeprefix("http://") if listed == "host:port" else listed
    assert fetch(f"{elsewhere.url}/x.png", media_hosts=[host]) == png()
    assert elsewhere.tokens() == {None}


def test_neither_an_address_nor_a_netrc_gives_credentials_away(
    elsewhere: Site, fetch: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.2 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    elsewhere.pages["/x.png"] = png()
    address = elsewhere.url.replace("http://", "http://user:password@")
    assert fetch(f"{address}/x.png", media_hosts=["127.0.0.2"]) == png()
    assert elsewhere.tokens() == {None}


@pytest.mark.parametrize(
    "value",
    [
        "http://127.0.0.2:{port}/x.png",
        "http://127.0.0.1:{port}/x.png",  # Label Studio's host, another port
        "http://127.0.0.1@127.0.0.2:{port}/x.png",
        "http://127.0.0.2:{port}\\@127.0.0.1/x.png",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:{port}/x.png",
        "HTTP://127.0.0.2:{port}/x.png",
        "//127.0.0.2:{port}/x.png",
        "\\\\127.0.0.2\\x.png",
        "http://2130706434:{port}/x.png",
        "http://",
        "http://[::1",
        "http://127.0.0.2:99999/x.png",
        "http://127.0.0.2:x/x.png",
        "http://\ud800/",
        "ftp://127.0.0.2/x.png",
        "javascript:alert(1)",
        "gopher://127.0.0.2:{port}/",
        "x.png",
        "",
    ],
)
def test_no_other_host_is_ever_asked(elsewhere: Site, studio: Site, fetch: Callable[..., bytes], value: str) -> None:
    elsewhere.pages["/x.png"] = png()
    with pytest.raises(MediaBroken):
        fetch(value.format(port=elsewhere.url.rpartition(":")[2]))
    assert elsewhere.asked == studio.asked == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/projects/1/next",
        "/data/../api/projects/1/next",
        "/data/%2e%2E/api/projects/1/next",
        "/user/logout",
        "/tasks/7/",
        "/",
        "/database",
        "/api/x?/data/",
    ],
)
def test_a_task_cannot_make_us_call_label_studios_api(studio: Site, fetch: Callable[..., bytes], path: str) -> None:
    with pytest.raises(MediaBroken, match="is no media"):
        fetch(path)
    assert studio.asked == []


def test_every_redirect_is_judged_anew(studio: Site, elsewhere: Site, fetch: Callable[..., bytes]) -> None:
    elsewhere.pages["/x.png"] = png()
    for target in (
        f"{elsewhere.url}/x.png",
        "/api/projects/1/next",
        f"//{elsewhere.url[7:]}/x.png",
        "file:///etc/passwd",
    ):
        studio.pages["/data/x.png"] = (302, {"Location": target}, b"")
        with pytest.raises(MediaBroken):
            fetch("/data/x.png")
    assert elsewhere.asked == []
    assert {path for path, _ in studio.asked} == {"/data/x.png"}


def test_a_listed_host_that_leads_back_gets_the_file_but_no_token(
    studio: Site, elsewhere: Site, fetch: Callable[..., bytes]
) -> None:
    elsewhere.pages["/x.png"] = (302, {"Location": f"{studio.url}/data/x.png"}, b"")
    studio.pages["/data/x.png"] = png()
    assert fetch(f"{elsewhere.url}/x.png", media_hosts=["127.0.0.2"]) == png()
    assert (studio.tokens(), elsewhere.tokens()) == ({f"Token {LEGACY}"}, {None})


def test_a_redirect_within_label_studio_is_followed_but_not_in_circles(
    studio: Site, fetch: Callable[..., bytes]
) -> None:
    studio.pages["/data/a.png"] = (302, {"Location": "b.png"}, b"")
    studio.pages["/data/b.png"] = png()
    assert fetch("/data/a.png") == png()
    studio.pages["/data/c.png"] = (302, {"Location": "/data/c.png"}, b"")
    with pytest.raises(MediaBroken, match="redirected more than 5 times"):
        fetch("/data/c.png")


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 502, 503])
def test_what_may_get_better_is_unavailable(studio: Site, fetch: Callable[..., bytes], status: int) -> None:
    studio.pages["/data/x.png"] = (status, {}, b"{}")
    with pytest.raises(MediaUnavailable, match=str(status)):
        fetch("/data/x.png")


@pytest.mark.parametrize("status", [204, 206, 400, 404, 410, 416])
def test_what_is_not_there_is_broken(studio: Site, fetch: Callable[..., bytes], status: int) -> None:
    studio.pages["/data/x.png"] = (status, {}, b"")
    with pytest.raises(MediaBroken, match=str(status)):
        fetch("/data/x.png")


def test_an_upload_that_label_studio_has_deleted_is_broken_though_it_answers_500(
    studio: Site, fetch: Callable[..., bytes]
) -> None:
    said = b'{"status_code":500,"detail":"\'NoneType\' object has no attribute \'has_permission\'","exc_info":null}'
    studio.pages["/data/upload/1/gone.png"] = (500, {}, said)
    with pytest.raises(MediaBroken, match="no longer has this upload"):
        fetch("/data/upload/1/gone.png")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("https://[bucket].s3.amazonaws.com/a.jpg?X-Amz-Signature=1", "not an address"),
        ("http://[x/a.jpg?x=1", "not an address"),
        ("https://exa\u2100mple.com/a.jpg?x=1", "not an address"),
        ("data:image/png,\ud800", "not an image"),
        ("data:image/png;base64,\ud800", "not an image"),
    ],
)
def test_what_is_no_address_or_no_character_is_broken(fetch: Callable[..., bytes], value: str, reason: str) -> None:
    with pytest.raises(MediaBroken, match=reason):
        fetch(value)


PIECES = st.sampled_from(
    [
        "http://",
        "s3://",
        "//",
        "/",
        "data:",
        "[",
        "]",
        "@",
        ":",
        "\\",
        "?",
        "#",
        "%",
        "..",
        "127.0.0.2",
        "x",
        "é",
        "\0",
        "\ud800",
    ]
)


@given(value=st.lists(PIECES | st.text(max_size=3), max_size=8).map("".join))
def test_no_value_does_worse_than_be_broken(value: str) -> None:
    with Site() as studio, pytest.raises((MediaBroken, MediaUnavailable)), tempfile.TemporaryDirectory() as folder:
        settings = Settings(label_studio_url=studio.url, label_studio_api_key=LEGACY)
        MediaFetcher(LabelStudio.from_settings(settings), Path(folder), settings).fetch(7, value, Modality.IMAGE)


def test_a_host_that_does_not_answer_is_unavailable(fetch: Callable[..., bytes]) -> None:
    with pytest.raises(MediaUnavailable, match="ConnectionError"):
        fetch("http://127.0.0.3:9/x.png", media_hosts=["127.0.0.3"])


def test_a_host_that_stays_silent_is_waited_for_by_a_few_files_and_asked_again_later(
    elsewhere: Site, studio: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silent_hosts, "SILENT_FOR", 0.4)
    host = elsewhere.url.removeprefix("http://")
    settings = Settings(label_studio_url=studio.url, label_studio_api_key=LEGACY, media_hosts=[host], media_timeout=0.2)
    fetcher = MediaFetcher(LabelStudio.from_settings(settings), tmp_path / "media", settings)
    addresses = [f"{elsewhere.url}/{number}.png" for number in range(48)]

    def delivered(address: str) -> bool:
        try:
            return fetcher.fetch(7, address, Modality.IMAGE) == png()
        except MediaUnavailable:
            return False

    silence = threading.Event()
    elsewhere.pages.update({f"/{number}.png": lambda request: silence.wait(5) for number in range(48)})
    with ThreadPoolExecutor(4) as pool:
        assert not any(pool.map(delivered, addresses))
    assert len(elsewhere.asked) <= 24
    silence.set()

    elsewhere.pages.update({f"/{number}.png": png() for number in range(48)})
    time.sleep(0.5)
    assert all(map(delivered, addresses))


def test_redirects_take_no_longer_together_than_one_file_may(studio: Site, fetch: Callable[..., bytes]) -> None:
    def slow(request: Handler) -> None:
        time.sleep(0.25)
        request.send_response(302)
        request.send_header("Location", f"/data/{len(studio.asked)}.png")
        request.send_header("Content-Length", "0")
        request.end_headers()

    studio.pages.update({f"/data/{number}.png": slow for number in range(9)})
    started = time.monotonic()
    with pytest.raises(MediaUnavailable):
        fetch("/data/0.png", media_timeout=0.4)
    assert time.monotonic() - started < 0.8


def test_a_file_that_is_announced_too_large_is_not_read(studio: Site, fetch: Callable[..., bytes]) -> None:
    studio.pages["/data/x.png"] = (200, {"Content-Length": "5000"}, b"")
    with pytest.raises(MediaBroken, match="larger than the 1,000 bytes"):
        fetch("/data/x.png", media_max_bytes=1000)


def test_a_file_that_grows_unannounced_is_cut_off(studio: Site, fetch: Callable[..., bytes]) -> None:
    sent = []

    def endless(request: Handler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            for _ in range(10_000):
                sent.append(request.wfile.write(bytes(65536)))
        except OSError:
            request.close_connection = True

    studio.pages["/data/x.png"] = endless
    with pytest.raises(MediaBroken, match="larger than"):
        fetch("/data/x.png", media_max_bytes=1_000_000)
    assert sum(sent) < 50_000_000


@pytest.mark.parametrize("drop", [b"x", b"x" * 65536])
def test_a_file_that_trickles_is_given_up(studio: Site, fetch: Callable[..., bytes], drop: bytes) -> None:
    def trickle(request: Handler) -> None:
        request.send_response(200)
        request.end_headers()
        with suppress(ConnectionError):  # whoever asked has gone
            for _ in range(40):
                request.wfile.write(drop)
                time.sleep(0.05)

    studio.pages["/data/x.png"] = trickle
    started = time.monotonic()
    with pytest.raises(MediaUnavailable, match=r"within 0\.3 s"):
        fetch("/data/x.png", media_timeout=0.3)
    assert time.monotonic() - started < 1.5


def test_a_body_that_breaks_off_is_unavailable_and_not_kept(studio: Site, fetch: Callable[..., bytes]) -> None:
    studio.pages["/data/x.png"] = (200, {"Content-Length": str(len(png()) + 10)}, png())
    with pytest.raises(MediaUnavailable):
        fetch("/data/x.png", media_timeout=0.5)
    studio.pages["/data/x.png"] = png(3)
    assert fetch("/data/x.png") == png(3)


def test_a_body_in_chunks_is_read_to_its_end(studio: Site, fetch: Callable[..., bytes]) -> None:
    def chunked(request: Handler) -> None:
        request.protocol_version = "HTTP/1.1"
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for part in (png()[:20], png()[20:]):
            request.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        request.wfile.write(b"0\r\n\r\n")

    studio.pages["/data/x.png"] = chunked
    assert fetch("/data/x.png") == png()


def test_a_compressed_body_is_refused_for_it_may_unpack_to_any_size(studio: Site, fetch: Callable[..., bytes]) -> None:
    studio.pages["/data/x.png"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(10**7)))
    with pytest.raises(MediaBroken, match="compressed"):
        fetch("/data/x.png")


def test_what_is_no_image_is_broken_and_not_kept(studio: Site, fetch: Callable[..., bytes]) -> None:
    studio.pages["/data/x.png"] = b"<html>log in</html>"
    with pytest.raises(MediaBroken, match="not an image"):
        fetch("/data/x.png")
    studio.pages["/data/x.png"] = png()
    assert fetch("/data/x.png") == png()


@pytest.mark.parametrize(
    "form", ["data:image/png;base64,{base64}", "DATA:;BASE64,{base64}", "data:image/png,{percent}"]
)
def test_a_data_uri_is_read_in_place(fetch: Callable[..., bytes], form: str) -> None:
    uri = form.format(base64=base64.b64encode(png()).decode(), percent=quote(png()))
    assert fetch(uri) == png()


def test_a_data_uri_is_bounded_and_checked_too(fetch: Callable[..., bytes]) -> None:
    with pytest.raises(MediaBroken, match="larger than"):
        fetch("data:image/png;base64," + "A" * 5000, media_max_bytes=1000)
    with pytest.raises(MediaBroken, match="larger than"):
        fetch("data:image/png;base64," + "A" * 2000, media_max_bytes=1000)
    with pytest.raises(MediaBroken, match="base64"):
        fetch("data:image/png;base64,AAA")
    with pytest.raises(MediaBroken, match="not an image"):
        fetch("data:text/plain,hello")


def test_a_text_is_not_fetched(studio: Site, tmp_path: Path) -> None:
    studio.pages["/data/x.txt"] = b"words"
    settings = Settings(label_studio_url=studio.url, label_studio_api_key=LEGACY)
    fetcher = MediaFetcher(LabelStudio.from_settings(settings), tmp_path, settings)
    with pytest.raises(MediaBroken, match="from the task itself"):
        fetcher.fetch(7, "/data/x.txt", Modality.TEXT)


def test_a_path_prefix_of_label_studio_is_put_in_once() -> None:
    assert address_of("/data/x.png", 1, "http://h/ls") == "http://h/ls/data/x.png"
    assert address_of("/ls/data/x.png", 1, "http://h/ls") == "http://h/ls/data/x.png"
    assert address_of("/data/x.png", 1, "http://h") == "http://h/data/x.png"
