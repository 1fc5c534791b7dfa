"""The address Label Studio calls: what it accepts, and what it silently ignores."""

import pytest

from labelloop.errors import SettingsError
from labelloop.service.addresses import backend_address, local_address, same_address, takes_events, webhook_address
from labelloop.settings import load_settings


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://localhost:9090/", "http://localhost:9090"),
        (" https://labelloop.example.org/ml/ ", "https://labelloop.example.org/ml"),
        ("http://[::1]:9090", "http://[::1]:9090"),
    ],
)
def test_an_address_is_kept_without_a_slash_at_its_end(url: str, kept: str) -> None:
    assert backend_address(url) == kept


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("localhost:9090", "is not an address"),
        ("ftp://host.name", "is not an address"),
        ("http://:9090", "is not an address"),
        ("http://host.name:port", "is not an address"),
        ("http://host.name:99999", "is not an address"),
        ("http://user:hidden@host.name", "LABELLOOP_BASIC_AUTH"),
        ("http://host.name?a=b", "leave out"),
        ("http://host.name#a", "leave out"),
        ("http://[::1", "is not an address"),
    ],
)
def test_what_is_no_address_is_refused_in_one_sentence_without_secrets(url: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as raised:
        backend_address(url)
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("[::1]", True),
        ("ml.local", True),
        ("host.docker.internal", True),
        ("ml-backend.ml", True),
        ("xn--nxasmq6b.xn--j6w193g", True),
        ("ml-backend", False),
        ("ml_backend.local", False),
        ("ml-backend.", False),
        ("host.1", False),
    ],
)
def test_label_studio_takes_webhooks_to_dotted_names_only(host: str, taken: bool) -> None:
    assert takes_events(f"http://{host}:9090") is taken


def test_addresses_are_the_same_but_for_a_slash_and_the_case_of_the_host() -> None:
    assert same_address("http://Host.Name:9090/ml/", "http://host.name:9090/ml")
    assert not same_address("http://host.name:9090", "http://host.name:9091")
    assert not same_address("http://host.name:9090", "https://host.name:9090")
    assert webhook_address("http://host.name:9090/") == "http://host.name:9090/webhook"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:9090"),
        ("localhost", "http://127.0.0.1:9090"),
        ("0.0.0.0", "http://127.0.0.1:9090"),
        ("::1", "http://[::1]:9090"),
        ("::", "http://[::1]:9090"),
        ("fd00::5", "http://[fd00::5]:9090"),
        ("studio.example", "http://studio.example:9090"),
    ],
)
def test_a_server_is_called_where_it_listens(host: str, url: str) -> None:
    assert local_address(load_settings(host=host, port=9090, basic_auth="user:password")) == url
