"""Settings come from the environment; what is wrong with one is said in a sentence that names it."""

import pytest
from pydantic import SecretStr

from labelloop.errors import SettingsError
from labelloop.learning.reduction import check_reduction
from labelloop.settings import Settings, load_settings, variable_of


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

    with pytest.raises(SettingsError, match="Settings cannot be used: LABELLOOP_CONTROL_WEIGHTS"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LABELLOOP_TRAIN_AFTER", "many", "LABELLOOP_TRAIN_AFTER: Input should be a valid integer"),
        ("LABELLOOP_TRAIN_AFTER", "0", "LABELLOOP_TRAIN_AFTER: Input should be greater than or equal to 1"),
        ("LABELLOOP_STRATEGY", "entrophy", "LABELLOOP_STRATEGY: Input should be 'auto'"),
        ("LABELLOOP_ENSEMBLE", "logistic,trees", "LABELLOOP_ENSEMBLE.1: Input should be 'logistic'"),
        ("LABEL_STUDIO_API_KEY", "key€", "LABEL_STUDIO_API_KEY: holds a character"),
        ("LABELLOOP_BASIC_AUTH", "user", "LABELLOOP_BASIC_AUTH must look like user:password"),
    ],
)
def test_what_is_wrong_is_told_under_the_name_it_is_set_by(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value).startswith(f"Settings cannot be used: {told}")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(variable_of(name), "")

    assert getattr(load_settings(), name) == Settings.model_fields[name].default


@pytest.mark.parametrize("name", ["LABEL_STUDIO_URL", "REDIS_URL", "LABELLOOP_BASIC_AUTH", "LABELLOOP_DEVICE"])
def test_blanks_around_a_value_are_no_part_of_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    value = {"LABEL_STUDIO_URL": "http://studio", "REDIS_URL": "redis://redis"}.get(name, "user:password")
    monkeypatch.setenv(name, f" {value} \n")
    found = next(getattr(load_settings(), field) for field in Settings.model_fields if variable_of(field) == name)

    assert (found.get_secret_value() if isinstance(found, SecretStr) else found) == value


def test_the_blank_that_ends_a_prefix_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELLOOP_TEXT_WRITER_PREFIX", "summarize: ")

    assert load_settings().text_writer_prefix == "summarize: "


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("REQUEST_TIMEOUT", "PUSH_TIMEOUT", "MEDIA_TIMEOUT") for value in ("0", "1e30")),
        *(("RECONCILE_EVERY", value) for value in ("inf", "nan", "1e30")),
        ("JOB_TIMEOUT", "10000000000"),
        ("HOURS_BUDGET", "inf"),
    ],
)
def test_times_that_no_clock_takes_are_told_of(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"LABELLOOP_{name}", value)

    with pytest.raises(SettingsError, match=f"LABELLOOP_{name}: Input should be"):
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
        ("LABEL_STUDIO_URL", "http://"),
        ("LABEL_STUDIO_URL", "http://hidden:8080/?page=2"),
        ("LABEL_STUDIO_URL", "http://hidden:8080/#top"),
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


@pytest.mark.parametrize("value", ["auto", "sum", "quantile:0.9", "quantile:1"])
def test_every_reduction_there_is_may_be_chosen(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LABELLOOP_REDUCTION", value)

    assert load_settings().reduction == value
    check_reduction(value)


@pytest.mark.parametrize("value", ["median", "quantile", "quantile:1.5", "quantile:-0.5"])
def test_a_reduction_that_there_is_not_is_told_of(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LABELLOOP_REDUCTION", value)

    with pytest.raises(SettingsError, match=r"LABELLOOP_REDUCTION.*is not auto, mean, max, sum or quantile:q"):
        load_settings()
