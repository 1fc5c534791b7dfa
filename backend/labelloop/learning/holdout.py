"""The holdout: labelled items that no model of the project is ever trained on."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from hashlib import sha256


def assign_holdout(labels: Mapping[str, str], assigned: Mapping[str, bool], share: float) -> dict[str, bool]:
    """Place newly labelled items in the holdout or the training set; what was placed once stays.

    As many new items are held out as bring the holdout nearest to `share` of all labels from below. They are taken one
    by one from the class that lacks most of its own share, in the order of their content's hash, so the choice depends
    neither on who labelled nor on the order they came in; the last training example of a class is never taken, and never
    more than half of the new items, so that training goes on while a holdout that started late catches up.

    Args:
        labels: label by content key, of every item labelled now. Equal contents share a key and so a side.
        assigned: what an earlier call returned; True: held out. Keys that have lost their label keep their place.
        share: share of the labels to hold out, in [0, 1].

    Returns:
        True (held out) or False by content key, for every key of `assigned` and of `labels`.
    """
    held_out = dict(assigned) | {key: False for key in labels if key not in assigned}
    waiting = _by_class({key: label for key, label in labels.items() if key not in assigned})
    total = Counter(labels.values())
    held = Counter(label for key, label in labels.items() if held_out[key])
    # An exact share such as 0.3 * 10 must not lose an item to rounding.
    missing = int(share * len(labels) + 1e-9) - held.total()
    for _ in range(min(missing, (sum(map(len, waiting.values())) + 1) // 2)):
        candidates = [label for label in waiting if waiting[label] and total[label] - held[label] > 1]
        if not candidates:
            break
        label = max(candidates, key=lambda name: (share * total[name] - held[name], total[name], name))
        held_out[waiting[label].pop(0)] = True
        held[label] += 1
    return held_out


def _by_class(labels: Mapping[str, str]) -> dict[str, list[str]]:
    keys: dict[str, list[str]] = defaultdict(list)
    for key in sorted(labels, key=lambda key: sha256(key.encode()).digest()):
        keys[labels[key]].append(key)
    return dict(keys)
