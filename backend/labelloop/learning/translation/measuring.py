"""How near texts come to what people wrote: chrF and BLEU, by sacrebleu."""

import re
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import zip_longest
from typing import Any, Final

import numpy as np

from labelloop.errors import LearningError, NotEnoughLabels
from labelloop.learning.arrays import Bools, Floats
from labelloop.learning.evaluation import Source
from labelloop.learning.figures import Figures
from labelloop.learning.intervals import CONFIDENCE, DRAWS, Interval, wilson
from labelloop.records import TextTarget

# Counting the pieces of very long texts takes seconds each, and their beginnings tell models apart as well.
MEASURED: Final = 4000
# BLEU counts words, and must be told where they are in scripts that write no spaces.
_HAN: Final = re.compile(r"[\u3400-\u9fff\U00020000-\U0003134f]")
_UNSPACED: Final = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff]")
_LETTER: Final = re.compile(r"[^\W\d_]")


def require_sacrebleu() -> None:
    """See that texts can be measured.

    Raises:
        LearningError: sacrebleu is not installed.
    """
    if find_spec("sacrebleu") is None:
        raise LearningError("Measuring texts needs sacrebleu, which is not installed; install labelloop[text].")


def chrf_of_each(texts: Sequence[str], targets: Sequence[TextTarget]) -> Floats:
    """Sentence chrF (Popović, 2015) of each text against the nearest of its target's, float64 [n] in [0, 1].

    Raises:
        LearningError: sacrebleu is not installed, or there are not as many targets as texts.
    """
    require_sacrebleu()
    from sacrebleu.metrics.chrf import CHRF

    _check_numbers(texts, targets)
    measure = CHRF()
    scores = [
        measure.sentence_score(text[:MEASURED], [one[:MEASURED] for one in target.texts]).score
        for text, target in zip(texts, targets, strict=True)
    ]
    return np.clip(np.array(scores, dtype=np.float64) / 100, 0, 1)


def figures_of(
    texts: Sequence[str], targets: Sequence[TextTarget], *, shown: Bools, expected: Floats, source: Source
) -> Figures:
    """Figures of n texts: chrF of them all together, and beside it BLEU (Papineni et al., 2002).

    `others` holds `BLEU`; `suggested`, the share that annotators would be shown; `chrF of suggested`, the mean of theirs; and
    `calibration error`, how far off the expected quality is on average. All in [0, 1].

    Args:
        texts: the best that the model can say of each item, shown or not.
        targets: what people wrote.
        shown: bool [n], whether annotators would be shown it.
        expected: [n] in [0, 1], the quality that the model expected.
        source: what the items are.

    Raises:
        NotEnoughLabels: there is no item to measure.
        LearningError: sacrebleu is not installed, or the parts are not of as many items.
    """
    require_sacrebleu()
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    _check_numbers(texts, targets)
    if not texts:
        raise NotEnoughLabels("There is no labelled item to measure a model on.")
    cut = [text[:MEASURED] for text in texts]
    references = _streams(targets)
    value = CHRF().corpus_score(cut, references).score / 100
    bleu = BLEU(tokenize=_tokenizer(targets), effective_order=True).corpus_score(cut, references).score / 100
    each = chrf_of_each(texts, targets)
    others = {
        "BLEU": min(1.0, float(bleu)),
        "suggested": float(np.mean(shown)),
        "calibration error": float(np.abs(expected - each).mean()),
    }
    if np.any(shown):
        others["chrF of suggested"] = float(each[shown].mean())
    lengths = np.array([len(target.texts[0]) for target in targets], dtype=np.float64)
    value = min(1.0, float(value))
    return Figures(len(texts), "chrF", value, source, _interval(value, each, lengths), others)


def _check_numbers(texts: Sequence[str], targets: Sequence[TextTarget]) -> None:
    if len(texts) != len(targets):
        raise LearningError(f"There are {len(targets)} targets for {len(texts)} texts.")


def _streams(targets: Sequence[TextTarget]) -> list[list[Any]]:
    """The references as sacrebleu wants them: every item's first, every item's second, …; None where an item has no more.

    An empty text would count as a reference, and as the nearest in length to whatever is short.
    """
    cut = [[text[:MEASURED] for text in target.texts] for target in targets]
    return [list(stream) for stream in zip_longest(*cut, fillvalue=None)]


def _tokenizer(targets: Sequence[TextTarget]) -> str:
    """sacrebleu's name for how words are told apart in what people wrote."""
    sample = "".join(target.texts[0][:200] for target in targets[:200])
    letters = max(len(_LETTER.findall(sample)), 1)
    if len(_UNSPACED.findall(sample)) > letters / 5:
        return "char"
    return "zh" if len(_HAN.findall(sample)) > letters / 5 else "13a"


def _interval(value: float, each: Floats, lengths: Floats) -> Interval:
    """95 % interval of the chrF of all together.

    It reaches as far as the mean of the items' own scores, weighted by length, does over draws of the items (bootstrap,
    Efron, 1979), and at least as far as `wilson` of a share that large: draws of few items promise too much.
    """
    rng: Any = np.random.default_rng(0)
    rows = rng.integers(0, each.size, size=(DRAWS, each.size))
    weights = np.maximum(lengths, 1.0)
    means = (each * weights)[rows].sum(axis=1) / weights[rows].sum(axis=1)
    centre = float(each @ weights / weights.sum())
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    share = float(each.mean())
    reach = wilson(share * each.size, each.size)
    return Interval(
        max(0.0, value - max(centre - float(low), share - reach.low)),
        min(1.0, value + max(float(high) - centre, reach.high - share)),
    )
