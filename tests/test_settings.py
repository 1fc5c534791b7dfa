"""Settings come from the environment; what is wrong with one is said in a sentence that names it."""

import pytest

from labelloop.errors import SettingsError
from labelloop.settings import load_settings


@pytest.mark.parametrize(
    ("value", "weights"),
    [("", {}), ("{}", {}), ('{"boxes": 1, "remark": 0.2}', {"boxes": 1.0, "remark": 0.2})],
)
def test_weights_of_controls_are_read(monkeypatch: pytest.MonkeyPatch, value: str, weights: dict[str, float]) -> None:
    monkeypatch.setenv("LABELLOOP_CONTROL_WEIGHTS", value)

    assert load_settings().control_weights == weights


@pytest.mark.parametrize("value", ["{bad", "boxes=1", '["boxes"]', '{"boxes": 2}', '{"boxes": "much"}'])
def test_weights_that_are_none_are_told_of(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LABELLOOP_CONTROL_WEIGHTS", value)

    with pytest.raises(SettingsError, match="Settings cannot be used: control_weights"):
        load_settings()


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "  "])
def test_a_token_is_taken_without_the_end_of_its_line(monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", f"abc123{ending}")

    assert load_settings().label_studio_api_key.get_secret_value() == "abc123"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LABEL_STUDIO_API_KEY", "hidden€"),
        ("LABEL_STUDIO_API_KEY", "hid\x07den"),
        ("LABEL_STUDIO_URL", "http://127.0.0.1:99999"),
        ("LABEL_STUDIO_URL", "http://[::1"),
        ("LABEL_STUDIO_URL", "studio.example"),
        ("LABEL_STUDIO_URL", "http://me:hidden@studio.example"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://me:hidden@host:port"),
        ("REDIS_URL", "http://hidden"),
    ],
)
def test_addresses_and_tokens_that_are_none_are_told_of_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=f"(?i){name}") as raised:
        load_settings()
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:6379/1", "rediss://me:secret@host:6380", "unix:///run/redis.sock", "redis://[::1]:6379"]
)
def test_addresses_of_redis_are_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REDIS_URL", url)

    assert load_settings().redis_location == url


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "LABELLOOP_STRATEGI",
            "LABELLOOP_STRATEGI is no setting and changes nothing; did you mean LABELLOOP_STRATEGY?",
        ),
        (
            "LABELLOOP_QUITE_OTHER",
            "LABELLOOP_QUITE_OTHER is no setting and changes nothing; the README lists what there is.",
        ),
        ("LABELLOOP_STRATEGY", ""),
        ("LABELLOOP_EXTRAS", ""),
    ],
)
def test_names_that_look_like_settings_and_are_none_are_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, told: str
) -> None:
    monkeypatch.setenv(name, "badge")
    load_settings()

    assert caplog.messages == ([told] if told else [])
