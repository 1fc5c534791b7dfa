"""The README and the settings say the same."""

from pathlib import Path

from pydantic import SecretStr

from labelloop.settings import Settings, variable_of

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_every_setting_is_in_the_readme_with_its_default() -> None:
    for name, field in Settings.model_fields.items():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        shown = "" if default in ("", [], {}) else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        assert f"| `{variable_of(name)}` | {shown} | {field.description} |" in README


def test_the_readme_names_no_setting_that_does_not_exist() -> None:
    named = {word.strip("`|,.;()=…") for word in README.split() if word.startswith("`LABELLOOP_")}
    known = {f"LABELLOOP_{name.upper()}" for name in Settings.model_fields} | {"LABELLOOP_EXTRAS"}
    assert {name.partition("=")[0] for name in named} <= known
