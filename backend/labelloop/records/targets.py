"""What people said of one item, by kind of control."""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Protocol, Self, TypeVar

from labelloop.records.masks import Mask
from labelloop.records.regions import Attribute, Box, Span

K = TypeVar("K", bound=Hashable)


class Target(Protocol):
    """What every target answers, whatever it holds."""

    @property
    def weight(self) -> float:
        """How far the annotators agree, in (0, 1]."""
        ...

    @property
    def ground_truth(self) -> bool:
        """A person marked the annotation as ground truth."""
        ...

    @property
    def summary(self) -> str:
        """One line, the same for two targets just when they say the same."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes it names, each once, sorted; empty is a statement too: there is nothing here."""
        ...

    def within(self, labels: Collection[str]) -> Self | None:
        """What is left of it when only those classes exist; None when nothing can be said then."""
        ...


def strata(targets: Mapping[K, Target]) -> dict[K, str]:
    """What splits should spread over both sides, for each target: its classes together.

    Where no other target names just the same classes, as may be with each of many long texts, it is the rarest of them: of
    what is there once nothing is ever held out.
    """
    together = Counter(target.classes for target in targets.values())
    items = Counter(label for target in targets.values() for label in target.classes)
    rarest = {classes: sorted(classes, key=lambda label: (items[label], label))[:1] for classes in together}
    return {
        key: "\0".join(target.classes if together[target.classes] > 1 else rarest[target.classes])
        for key, target in targets.items()
    }


@dataclass(frozen=True, slots=True)
class ClassTarget:
    """The class that people gave one item.

    Attributes:
        label: one of the control's labels, or one that the config has lost since.
        weight: share of the annotators who agree, in (0, 1].
        ground_truth: a person marked the annotation as ground truth.
    """

    label: str
    weight: float = 1.0
    ground_truth: bool = False

    @property
    def summary(self) -> str:
        """The label."""
        return self.label

    @property
    def classes(self) -> tuple[str, ...]:
        """The label alone."""
        return (self.label,)

    def within(self, labels: Collection[str]) -> Self | None:
        """Itself, or None when its class does not exist."""
        return self if self.label in labels else None


@dataclass(frozen=True, slots=True)
class SetTarget:
    """The classes that people gave one item; `labels` is sorted, and may be empty."""

    labels: tuple[str, ...]
    weight: float = 1.0
    ground_truth: bool = False

    @property
    def summary(self) -> str:
        """The labels, joined."""
        return "\0".join(self.labels)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels

    def within(self, labels: Collection[str]) -> Self | None:
        """With the classes that exist; None when it named some and all of them are gone."""
        return _kept(self, "labels", self.labels, [one for one in self.labels if one in labels])


@dataclass(frozen=True, slots=True)
class BoxesTarget:
    """Every box that people drew in one image; none says that there is nothing to be found."""

    boxes: tuple[Box, ...]
    weight: float = 1.0
    ground_truth: bool = False

    @property
    def summary(self) -> str:
        """A digest of the boxes."""
        return _digest(self.boxes)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the boxes."""
        return _classes(self.boxes)

    def within(self, labels: Collection[str]) -> Self | None:
        """With the boxes of classes that exist; None when all of them are gone."""
        return _kept(self, "boxes", self.boxes, [box for box in self.boxes if box.label in labels])


@dataclass(frozen=True, slots=True)
class MasksTarget:
    """Every area that people marked in one image; none says that there is nothing to be found."""

    masks: tuple[Mask, ...]
    weight: float = 1.0
    ground_truth: bool = False

    @property
    def summary(self) -> str:
        """A digest of the areas."""
        return _digest(self.masks)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the areas."""
        return _classes(self.masks)

    def within(self, labels: Collection[str]) -> Self | None:
        """With the areas of classes that exist; None when all of them are gone."""
        return _kept(self, "masks", self.masks, [mask for mask in self.masks if mask.label in labels])


@dataclass(frozen=True, slots=True)
class SpansTarget:
    """Every stretch that people marked in one text; none says that there is nothing to be found."""

    spans: tuple[Span, ...]
    weight: float = 1.0
    ground_truth: bool = False

    @property
    def summary(self) -> str:
        """A digest of the spans."""
        return _digest(self.spans)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the spans."""
        return _classes(self.spans)

    def within(self, labels: Collection[str]) -> Self | None:
        """With the spans of classes that exist; None when all of them are gone."""
        return _kept(self, "spans", self.spans, [span for span in self.spans if span.label in labels])


@dataclass(frozen=True, slots=True)
class AttributesTarget:
    """What people said of the regions of one item; there is at least one."""

    attributes: tuple[Attribute[Target], ...]
    weight: float = 1.0
    ground_truth: bool = False

    @property
    def summary(self) -> str:
        """A digest of what was said of what."""
        return _digest((one.part, one.said.summary) for one in self.attributes)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that were said."""
        return tuple(sorted({label for one in self.attributes for label in one.said.classes}))

    def within(self, labels: Collection[str]) -> Self | None:
        """With what can still be said; None when nothing can."""
        left = [(one, one.said.within(labels)) for one in self.attributes]
        kept = tuple(one if one.said is said else Attribute(one.part, said) for one, said in left if said is not None)
        return (self if kept == self.attributes else replace(self, attributes=kept)) if kept else None


@dataclass(frozen=True, slots=True)
class TextTarget:
    """The text, or texts, that people gave in answer to one item; the first is the one to learn."""

    texts: tuple[str, ...]
    weight: float = 1.0
    ground_truth: bool = False

    @property
    def summary(self) -> str:
        """A digest of the texts, in their order: the first is the one to learn."""
        return _hashed(map(repr, self.texts))

    @property
    def classes(self) -> tuple[str, ...]:
        """None: a text has no class."""
        return ()

    def within(self, labels: Collection[str]) -> Self | None:
        """Itself, whatever classes exist."""
        return self


T = TypeVar("T", bound=Any)


def _digest(parts: Iterable[object]) -> str:
    return _hashed(sorted(map(repr, parts)))


def _hashed(lines: Iterable[str]) -> str:
    return sha256("\n".join(lines).encode(errors="surrogatepass")).hexdigest()[:16]


def _classes(regions: Iterable[Box | Mask | Span]) -> tuple[str, ...]:
    return tuple(sorted({region.label for region in regions}))


def _kept(target: T, name: str, before: Collection[object], left: Collection[object]) -> T | None:
    if len(left) == len(before):
        return target
    return replace(target, **{name: tuple(left)}) if left else None
