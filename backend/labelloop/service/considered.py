"""Which labels the last training has seen, and which it could not have."""

from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from labelloop.service.labelling import Labels
from labelloop.service.store import Store

FIRST_WAIT: Final = 60.0
LONGEST_WAIT: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Considered:
    """What the last training went by.

    Attributes:
        labels: by control, then by task id as text.
        controls: what it depended on in the label config.
        missed: labelled tasks whose media could not be had.
        misses: trainings in a row that missed some.
        again_at: Unix time from which those count as changed, so that they are tried again.
    """

    labels: Labels = field(default_factory=dict)
    controls: dict[str, list[Any]] = field(default_factory=dict)
    missed: frozenset[int] = frozenset()
    misses: int = 0
    again_at: float = 0.0

    def labels_at(self, now: float) -> Labels:
        """The labels that count as seen: those of missed tasks do until it is time to try them again.

        Without a wait every look would find them changed and publish one version like the other, as long as a host is away.
        """
        if now < self.again_at <= now + LONGEST_WAIT:
            return self.labels
        return {
            name: {task: label for task, label in found.items() if int(task) not in self.missed}
            for name, found in self.labels.items()
        }

    def after(self, labels: Labels, controls: dict[str, list[Any]], missed: set[int], now: float) -> "Considered":
        """What a training that went by those labels and missed those tasks leaves; each in a row that misses waits twice as long."""
        if not missed:
            return Considered(labels, controls)
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2**self.misses)
        return Considered(labels, controls, frozenset(missed), self.misses + 1, now + wait)


_ADAPTER = TypeAdapter(Considered)


def read_considered(store: Store, folder: str) -> Considered:
    """What the last training of the project in that folder went by; nothing where there was none."""
    try:
        return _ADAPTER.validate_python(store.read_json(_path(folder)) or {})
    except ValidationError:
        return Considered()


def write_considered(store: Store, folder: str, considered: Considered) -> None:
    """Keep it in that project folder."""
    store.write_json(_path(folder), _ADAPTER.dump_python(considered, mode="json"))


def _path(folder: str) -> str:
    return f"{folder}/considered.json"
