"""The holdout: labelled items that no model of the project is ever trained on."""

from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Mapping
from hashlib import sha256
from heapq import heapify, heappop, heappush

Groups = Mapping[str, Hashable]
"""The group of near-duplicates that a content key belongs to; a key without one is alone in its own."""


def assign_holdout(
    labels: Mapping[str, str], assigned: Mapping[str, bool], share: float, groups: Groups | None = None
) -> dict[str, bool]:
    """Place newly labelled items in the holdout or the training set; what was placed once stays.

    A group of near-duplicates stands on one side: what is new follows those that are placed, to the training set where those
    stand on both. As many of the rest are held out as bring what is judged on nearest to `share` of all labels from below. They
    are taken group by group from the class that lacks most of its own share, in the order of their contents' hashes, so the
    choice depends neither on who labelled nor on the order they came in; the last training example of a class is never
    taken, and never more than half of the new items, so that training goes on while a holdout that started late catches up. A
    group of more items than are wanted goes to the training set.

    Args:
        labels: label by content key, of every item labelled now. Equal contents share a key and so a side.
        assigned: what an earlier call returned; True: held out. Keys that have lost their label keep their place.
        share: share of the labels to hold out, in [0, 1].
        groups: group by content key, of placed keys too; they may be grouped otherwise than at an earlier call.

    Returns:
        True (held out) or False by content key, for every key of `assigned` and of `labels`, in the order they were placed.
    """
    groups = groups or {}
    new = sorted(labels.keys() - assigned.keys(), key=_hash)
    placed = _sides_of_groups(assigned, groups)
    followed = {key: all(placed[group]) for key in new if (group := _group(key, groups)) in placed}
    sides = dict(assigned) | followed
    waiting = [members for _, members in _members((key for key in new if key not in followed), groups)]
    judged = judged_keys({key: side for key, side in sides.items() if key in labels}, groups)
    sides |= {key: False for members in waiting for key in members}
    for members in _picked(waiting, labels, sides, judged, share):
        sides |= dict.fromkeys(members, True)
    return sides


def judged_keys(sides: Mapping[str, bool], groups: Groups | None = None) -> set[str]:
    """The held-out keys that a model can be judged on without a leak.

    A key is left out when near-duplicates of it are trained on, as when an item that resembles both sides joins two groups; and
    of held-out near-duplicates only the one placed first counts, lest many copies of one item decide. What is left out
    is still not trained on.

    Args:
        sides: what `assign_holdout` returned, of the keys that are labelled now.
        groups: group by content key, as given to it.
    """
    members = dict(_members(sides, groups or {}))
    return {keys[0] for keys in members.values() if all(sides[key] for key in keys)}


def _picked(
    waiting: list[list[str]], labels: Mapping[str, str], sides: Mapping[str, bool], judged: set[str], share: float
) -> Iterator[list[str]]:
    """Groups to hold out, class by class, until as many items are as are wanted."""
    # An exact share such as 0.3 * 10 must not lose an item to rounding.
    missing = int(share * len(labels) + 1e-9) - len(judged)
    budget = min(missing, (sum(map(len, waiting)) + 1) // 2)
    total = Counter(labels.values())
    taken = Counter(labels[key] for key in labels if sides[key])
    held = Counter(labels[key] for key in judged)
    by_class: dict[str, deque[list[str]]] = defaultdict(deque)
    for members in waiting:
        by_class[labels[members[0]]].append(members)
    # A heap, for sets of classes may be thousands: the class that lacks most, of these the largest, of these the last by name.
    names = sorted(by_class, reverse=True)
    turns = [(held[name] - share * total[name], -total[name], number) for number, name in enumerate(names)]
    heapify(turns)
    while budget > 0 and turns:
        _, size, number = heappop(turns)
        label = names[number]
        members = by_class[label].popleft()
        cost = Counter(labels[key] for key in members)
        if len(members) <= budget and all(total[name] - taken[name] > count for name, count in cost.items()):
            budget -= len(members)
            taken.update(cost)
            held[label] += 1
            yield members
        if by_class[label]:
            heappush(turns, (held[label] - share * total[label], size, number))


def _sides_of_groups(assigned: Mapping[str, bool], groups: Groups) -> dict[Hashable, list[bool]]:
    sides: dict[Hashable, list[bool]] = defaultdict(list)
    for key, side in assigned.items():
        sides[_group(key, groups)].append(side)
    return dict(sides)


def _members(keys: Iterable[str], groups: Groups) -> Iterator[tuple[Hashable, list[str]]]:
    """The keys by group, groups in the order of their first keys."""
    members: dict[Hashable, list[str]] = defaultdict(list)
    for key in keys:
        members[_group(key, groups)].append(key)
    yield from members.items()


def _group(key: str, groups: Groups) -> Hashable:
    return ("of", groups[key]) if key in groups else ("alone", key)


def _hash(key: str) -> bytes:
    return sha256(key.encode(errors="surrogatepass")).digest()
