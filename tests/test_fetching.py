"""Looking for a network that may not be there."""

import socket
import time

import pytest

from labelloop.learning.backbones import fetching


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def test_listening_host_is_reachable_and_a_closed_port_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert fetching.reachable(f"http://127.0.0.1:{port}/weights.pth")
    assert not fetching.reachable(f"http://127.0.0.1:{port}/weights.pth")


def test_proxy_stands_for_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert fetching.reachable("https://weights.invalid/weights.pth")


def test_name_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, **__: object) -> None:
        time.sleep(3)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", hang)
    started = time.monotonic()

    assert not fetching.reachable("https://weights.invalid/weights.pth", seconds=0.2)
    assert time.monotonic() - started < 2


def test_new_sockets_get_a_time_out_for_a_while() -> None:
    before = socket.getdefaulttimeout()
    with fetching.stalls_end():
        assert socket.getdefaulttimeout() == fetching.STALL_SECONDS
    assert socket.getdefaulttimeout() == before


@pytest.mark.parametrize(("value", "offline"), [("1", True), ("TRUE", True), ("on", True), ("0", False), ("", False)])
def test_switch_of_hugging_face_is_honoured(monkeypatch: pytest.MonkeyPatch, value: str, offline: bool) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)

    assert fetching.is_offline(False) is offline
    assert fetching.is_offline(True)
