"""How many labels of a control are enough for what."""

from labelloop.records import Kind
from labelloop.settings import Settings


def to_judge(settings: Settings, kind: Kind) -> int:
    """Held-out labels from which versions are judged by them; half of `holdout_min`, rounded up, where an answer is drawn."""
    return _fewer(settings.holdout_min, kind)


def to_fine_tune(settings: Settings, kind: Kind) -> int:
    """Labels from which a backbone is fine-tuned; half of `fine_tune_from`, rounded up, where an answer is drawn."""
    return _fewer(settings.fine_tune_from, kind)


def _fewer(labels: int, kind: Kind) -> int:
    return -(-labels // 2) if kind.drawn else labels
