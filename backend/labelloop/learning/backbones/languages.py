"""Has a model of many languages (mBART, M2M100, NLLB) translate from one of them to another."""

from typing import Any

from labelloop.errors import LearningError


def set_languages(tokenizer: Any, model: Any, languages: str) -> None:
    """Set what texts and answers are written in.

    Args:
        tokenizer: knows its languages.
        model: what it writes begins with the language from now on.
        languages: the model's own codes, as `en_XX:de_DE`.

    Raises:
        LearningError: the model is of one pair, or does not know a language.
    """
    source, _, target = languages.partition(":")
    if not hasattr(tokenizer, "src_lang"):
        raise LearningError(
            f"The model translates one pair of languages and cannot be told {languages!r}; unset LABELLOOP_TEXT_WRITER_LANGUAGES."
        )
    for side, code in (("src_lang", source), ("tgt_lang", target)):
        _set(tokenizer, side, code)
    (first, *_), language = tokenizer(text_target="")["input_ids"], _language_of(tokenizer)
    # The first mBART has the language behind a text, and begins to write with it.
    begins_with = "forced_bos_token_id" if first == language else "decoder_start_token_id"
    setattr(model.generation_config, begins_with, language)


def _set(tokenizer: Any, side: str, code: str) -> None:
    try:
        setattr(tokenizer, side, code)
        known = tokenizer.unk_token_id not in tokenizer("")["input_ids"] + tokenizer(text_target="")["input_ids"]
    except KeyError:
        known = False
    if not known:
        raise LearningError(
            f"The model has no language {code!r}; name both in LABELLOOP_TEXT_WRITER_LANGUAGES by its own codes, such as en_XX:de_DE."
        )


def _language_of(tokenizer: Any) -> int:
    """The token of the language that is written, which is all there is of an empty answer but its end."""
    (language,) = (token for token in tokenizer(text_target="")["input_ids"] if token != tokenizer.eos_token_id)
    return int(language)
