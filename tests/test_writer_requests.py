"""What models that write are asked for: a prefix before each text, and the languages of a model of many."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labelloop.errors import LearningError, SettingsError
from labelloop.learning import load_backbone, resolve_backbone
from labelloop.learning.backbones.written_texts import load_writer
from labelloop.learning.tuning.options import TuneOptions
from labelloop.learning.tuning.records import Lesson
from labelloop.learning.tuning.text_tuning import fine_tune_texts
from labelloop.records import Control, Kind, Modality
from labelloop.service.releases import backbone_spec
from labelloop.settings import Settings, load_settings
from support.writers import made_multilingual, made_pairs, made_writer, writer_spec

pytest.importorskip("transformers")

TEXTS = ["red cat", "old dog sees blue cat"]


def _begins(folder: Path, languages: str) -> tuple[list[str], list[str]]:
    """The tokens that a text is read as, and those that an answer begins with."""
    tokenizer, model = load_writer(folder, "cpu", languages)
    tokens = tokenizer(["red cat"], return_tensors="pt")
    (written,) = model.generate(**tokens, max_new_tokens=3, num_beams=2)
    read: list[str] = tokenizer.convert_ids_to_tokens(tokens["input_ids"][0].tolist())
    return read, tokenizer.convert_ids_to_tokens(written.tolist())


def test_a_model_of_many_languages_writes_in_the_one_it_is_told(tmp_path: Path) -> None:
    folder = made_multilingual(tmp_path / "mbart50")
    for languages in ("en_XX:de_DE", "fr_XX:ro_RO"):
        read, written = _begins(folder, languages)
        assert [read[0], written[1]] == languages.split(":")


def test_languages_behind_a_text_are_set_where_the_first_mbart_has_them(tmp_path: Path) -> None:
    read, written = _begins(made_multilingual(tmp_path / "mbart", behind=True), "en_XX:ro_RO")
    assert (read[-1], written[0]) == ("en_XX", "ro_RO")


@pytest.mark.parametrize("languages", ["en_XX:klingon", "klingon:en_XX"])
def test_a_language_that_the_model_does_not_have_is_told(tmp_path: Path, languages: str) -> None:
    with pytest.raises(LearningError, match="no language 'klingon'; name both in LABELLOOP_TEXT_WRITER_LANGUAGES"):
        load_writer(made_multilingual(tmp_path / "mbart50"), "cpu", languages)


def test_a_model_of_one_pair_cannot_be_told_its_languages(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match="one pair of languages"):
        load_writer(made_writer(tmp_path / "marian", "marian"), "cpu", "en_XX:de_DE")


def test_a_prefix_is_put_before_each_text(tmp_path: Path) -> None:
    folder = made_writer(tmp_path / "t5")
    asked, plain = writer_spec(folder, prefix="hears: "), writer_spec(folder)

    assert _rows(asked, TEXTS) == pytest.approx(_rows(plain, [f"hears: {text}" for text in TEXTS]), abs=1e-5)
    assert not np.allclose(_rows(asked, TEXTS), _rows(plain, TEXTS), atol=1e-3)


def test_what_is_asked_for_differently_has_features_of_its_own(tmp_path: Path) -> None:
    folder = made_multilingual(tmp_path / "mbart50")
    asked: list[dict[str, str]] = [{}, {"prefix": "a: "}, {"languages": "en_XX:de_DE"}, {"languages": "en_XX:ro_RO"}]

    assert len({resolve_backbone(writer_spec(folder, **one)).id for one in asked}) == len(asked)


def test_a_fine_tuned_model_is_still_asked_the_same_way(tmp_path: Path) -> None:
    spec = writer_spec(made_multilingual(tmp_path / "mbart50"), prefix="red ", languages="en_XX:de_DE")
    options = TuneOptions(epochs=3, batch=16, at_once=16, backbone_rate=1e-2)
    tuned = fine_tune_texts(spec, Lesson(*made_pairs(40)), tmp_path / "out", options)

    assert tuned is not None
    assert tuned.epochs[tuned.best].loss < tuned.epochs[0].loss
    assert (tuned.spec.prefix, tuned.spec.languages) == ("red ", "en_XX:de_DE")
    assert _begins(tuned.folder, tuned.spec.languages)[1][1] == "de_DE"


def test_settings_say_what_a_writer_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELLOOP_TEXT_WRITER", "t5-small")
    monkeypatch.setenv("LABELLOOP_TEXT_WRITER_PREFIX", "translate English to German: ")
    control = Control("de", "TextArea", "text", "text", Modality.TEXT, (), Kind.TEXT)
    assert backbone_spec(load_settings(), control).prefix == "translate English to German: "

    monkeypatch.setenv("LABELLOOP_TEXT_WRITER_LANGUAGES", "German")
    with pytest.raises(SettingsError, match="LABELLOOP_TEXT_WRITER_LANGUAGES must look like en_XX:de_DE"):
        load_settings()


def test_a_classifier_is_not_asked_for_languages() -> None:
    settings = Settings(text_writer="t5-small", text_writer_prefix="a: ", text_writer_languages="en:de")
    control = Control("kind", "Choices", "text", "text", Modality.TEXT, ("a", "b"), Kind.CLASS)
    assert (backbone_spec(settings, control).prefix, backbone_spec(settings, control).languages) == ("", "")


def _rows(spec: Any, texts: list[str]) -> Any:
    return load_backbone(spec, resolve_backbone(spec)).embed(texts)
