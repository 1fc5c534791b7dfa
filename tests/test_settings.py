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
