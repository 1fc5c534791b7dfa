"""Looking for a network that may not be there."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labelloop.errors import WeightsNotFound
from labelloop.learning import BackboneSpec, resolve_backbone
from labelloop.learning.backbones import fetching, sentence_texts, torchvision_models
from labelloop.records import Modality


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


@contextmanager
def _serving(files: dict[str, bytes], *, silent: threading.Event | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if silent is not None:
                silent.wait(60)
                return  # whoever asked has gone
            body = files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        if silent is not None:
            silent.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_usual_weights_are_downloaded_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torchvision = pytest.importorskip("torchvision")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    state = tmp_path / "state.pth"
    torch.save(torchvision.models.get_model("squeezenet1_1").state_dict(), state)
    usual: Any = torchvision.models.get_model_weights("squeezenet1_1").DEFAULT
    digest = sha256(state.read_bytes()).hexdigest()[:8]
    with _serving({f"/small-{digest}.pth": state.read_bytes()}) as url:
        here = SimpleNamespace(url=f"{url}/small-{digest}.pth", transforms=usual.transforms)
        monkeypatch.setattr(torchvision_models, "usual_weights", lambda model: here)
        found = resolve_backbone(BackboneSpec(Modality.IMAGE, "squeezenet1_1"))

    assert resolve_backbone(BackboneSpec(Modality.IMAGE, "squeezenet1_1", offline=True)) == found
    with _serving({}) as url:
        gone = SimpleNamespace(url=f"{url}/gone-{digest}.pth", transforms=usual.transforms)
        monkeypatch.setattr(torchvision_models, "usual_weights", lambda model: gone)
        with pytest.raises(WeightsNotFound, match="could not be downloaded"):
            resolve_backbone(BackboneSpec(Modality.IMAGE, "squeezenet1_1"))


@pytest.mark.parametrize("answers", [True, False])
def test_hub_that_has_nothing_or_says_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answers: bool
) -> None:
    pytest.importorskip("sentence_transformers")
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(sentence_texts, "PROBE_SECONDS", 0.5)
    with _serving({}, silent=None if answers else threading.Event()) as url:
        monkeypatch.setattr(constants, "ENDPOINT", url)
        started = time.monotonic()
        with pytest.raises(WeightsNotFound, match="'some/model' could not be downloaded"):
            resolve_backbone(BackboneSpec(Modality.TEXT, "some/model"))

    assert time.monotonic() - started < 20
