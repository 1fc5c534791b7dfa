"""Tiny sequence-to-sequence models with random weights, and a made language for them to learn."""

from pathlib import Path
from typing import Any

import numpy as np

from labelloop.learning import BackboneSpec, Parts
from labelloop.records import Modality, TextTarget

WORDS = {"red": "rot", "blue": "blau", "cat": "Katze", "dog": "Hund", "sees": "sieht", "hears": "hoert", "old": "alt"}


def made_pairs(count: int, seed: int = 0) -> tuple[list[str], list[TextTarget]]:
    """Different sentences of two to four words, and each word's translation in the same order."""
    rng = np.random.default_rng(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        words = rng.choice(list(WORDS), rng.integers(2, 5))
        found[" ".join(words)] = " ".join(WORDS[word] for word in words)
    return list(found), [TextTarget((text,)) for text in found.values()]


def made_writer(folder: Path, kind: str = "t5") -> Path:
    """A model of a few thousand random weights, with a tokenizer of whole words, in a folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import MarianConfig, MarianMTModel, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration
    from transformers.utils import logging

    logging.disable_progress_bar()
    special = ["<pad>", "</s>", "<unk>"]
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS, *WORDS.values()])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    tokens: dict[str, Any] = {"vocab_size": len(vocabulary), "pad_token_id": 0, "eos_token_id": 1}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: Any
        if kind == "t5":
            config = T5Config(
                d_model=24, d_kv=12, d_ff=48, num_layers=1, num_heads=2, decoder_start_token_id=0, **tokens
            )
            model = T5ForConditionalGeneration(config)
        else:
            sizes = {"encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48}
            heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 300}
            marian = MarianConfig(
                d_model=24,
                decoder_start_token_id=0,
                forced_eos_token_id=1,
                scale_embedding=True,
                **sizes,
                **heads,
                **tokens,
            )
            model = MarianMTModel(marian)
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


def made_multilingual(folder: Path, *, behind: bool = False) -> Path:
    """An mBART of random weights with all its languages, which it has before a text, or behind it as the first mBART did."""
    import torch
    from transformers import MBart50Tokenizer, MBartConfig, MBartForConditionalGeneration, MBartTokenizer

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [(piece, 0.0) for piece in (*special, *(f"\u2581{word}" for word in (*WORDS, *WORDS.values())))]
    tokenizer = (MBartTokenizer if behind else MBart50Tokenizer)(vocab=pieces)
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 300}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MBartForConditionalGeneration(MBartConfig(vocab_size=len(tokenizer), d_model=24, **sizes, **heads))
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


def writer_spec(folder: Path, **asked: str) -> BackboneSpec:
    """The spec that means the model in a folder."""
    return BackboneSpec(Modality.TEXT, str(folder), device="cpu", offline=True, parts=Parts.OUTPUT, **asked)
