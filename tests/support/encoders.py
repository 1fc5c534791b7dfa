"""Tiny sentence encoders with random weights, and made sentences in which names are marked."""

from pathlib import Path

import numpy as np

from labelloop.learning import BackboneSpec, Parts
from labelloop.records import Modality, Span, SpansTarget

CLASSES = ("PER", "LOC")
NAMES = ["alice", "bob", "carol", "dave", "mary ann", "jean paul"]
TOWNS = ["rome", "lima", "new oslo", "port bern", "kyiv"]
SAID = [
    "{} went to {} today",
    "in {1} we met {0}",
    "nobody came at all",
    "a letter from {} was posted in {}",
    "{} slept well",
]


def made_sentences(count: int, seed: int = 0) -> tuple[list[str], list[SpansTarget]]:
    """Sentences, each told apart by its number, and the people and towns in them."""
    random = np.random.default_rng(seed)
    texts, targets = [], []
    for number in range(count):
        name, town = random.choice(NAMES), random.choice(TOWNS)
        text = f"{random.choice(SAID).format(name, town)} {number}"
        marked = [("PER", name), ("LOC", town)]
        spans = [Span(label, at, at + len(one)) for label, one in marked if (at := text.find(one)) >= 0]
        texts.append(text)
        targets.append(SpansTarget(tuple(sorted(spans, key=lambda span: span.start))))
    return texts, targets


def made_encoder(folder: Path, longest: int = 32) -> Path:
    """A sentence-transformers model of a few thousand random weights, whose pieces are single letters, in a folder."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = sorted({word for text in [*NAMES, *TOWNS, *SAID] for word in text.split()})
    letters = list("abcdefghijklmnopqrstuvwxyz0123456789")
    pieces = dict.fromkeys([*special, *words, *letters, *(f"##{letter}" for letter in letters)])
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    cut = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    cut.normalizer = normalizers.BertNormalizer(lowercase=True)
    cut.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(piece, vocabulary[piece]) for piece in ("[CLS]", "[SEP]")]
    cut.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    named = {f"{piece[1:-1].lower()}_token": piece for piece in special}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=cut, model_max_length=longest, **named)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=longest,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = BertModel(config)
    network.save_pretrained(str(folder / "raw"))
    tokenizer.save_pretrained(str(folder / "raw"))
    transformer = Transformer(str(folder / "raw"), max_seq_length=longest)
    model = SentenceTransformer(modules=[transformer, Pooling(32)], device="cpu")
    model.save_pretrained(str(folder / "encoder"), create_model_card=False)
    return folder / "encoder"


def encoder_spec(folder: Path) -> BackboneSpec:
    """The spec that means the model in a folder, with its tokens."""
    return BackboneSpec(Modality.TEXT, str(folder), device="cpu", offline=True, parts=Parts.TOKENS)
