"""Text features that need no network: which words and pieces of words a text holds. The last resort."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from labelloop.learning.arrays import Floats
from labelloop.learning.backbones.base import OnProgress, ResolvedBackbone
from labelloop.learning.texts import well_formed

COLUMNS: Final = 256
BATCH: Final = 1024
# Count up the number in the id whenever the features change: cached ones must not be mixed with new ones.
PLAIN_TEXTS: Final = ResolvedBackbone("plain", "plain-texts-2", 2 * COLUMNS)


class PlainTexts:
    """One or two words in a row, and three to five letters in a row, each hashed to a column with a sign.

    Signed hashing keeps dot products in expectation (Weinberger et al., 2009), so it is a random projection that needs no
    fitting. How often a text says a thing does not count, only that it does.
    """

    id = PLAIN_TEXTS.id
    dim = PLAIN_TEXTS.dim

    def __init__(self) -> None:
        self._views = (
            _hashing(analyzer="word", ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b"),  # noqa: S106
            _hashing(analyzer="char_wb", ngram_range=(3, 5)),
        )

    def embed(self, items: Sequence[bytes] | Sequence[str], on_progress: OnProgress | None = None) -> Floats:
        """Features of texts, float32 [n, 512]; a text without a word has zeros."""
        features = np.empty((len(items), self.dim), dtype=np.float32)
        for start in range(0, len(items), BATCH):
            texts = [well_formed(str(text)) for text in items[start : start + BATCH]]
            features[start : start + BATCH] = np.concatenate([view(texts) for view in self._views], axis=1)
            if on_progress is not None:
                on_progress(start + len(texts))
        return features


def _hashing(**analyzer: Any) -> Callable[[list[str]], Floats]:
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
    from sklearn.preprocessing import normalize

    split = CountVectorizer(**analyzer).build_analyzer()
    hashed = HashingVectorizer(analyzer=lambda text: set(split(text)), n_features=COLUMNS, norm=None, dtype=np.float32)
    return lambda texts: normalize(hashed.transform(texts).toarray())
