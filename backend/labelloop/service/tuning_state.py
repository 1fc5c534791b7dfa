"""What the store remembers of a project's fine-tuning, so that it goes on after anything."""

from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from labelloop.learning import BackboneSpec, ResolvedBackbone
from labelloop.records import BoxesTarget, ClassTarget, Kind, MasksTarget, SetTarget, SpansTarget, TextTarget
from labelloop.service.store import Store

Said = ClassTarget | SetTarget | BoxesTarget | MasksTarget | SpansTarget | TextTarget
"""What a file tells apart by the names of their fields."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A fine-tuning under way: what it learns is settled when it begins.

    Attributes:
        control: name of the control.
        classes: its classes then.
        labels: what people said by task id, of the tasks that teach.
        validation: the same of those that decide when to stop.
        unlabelled: tasks without a label that teach too.
        contents: content digests of the labelled ones; none of them may ever be held out under the tuned backbone.
        shown: what the control read of tasks then; see `object_of`.
        kind: what people said with it then.
        start: the backbone to start from, as the settings named it then.
        backbone: what came of the training, once it is kept; None while it trains.
        summary: the training in one sentence.
    """

    control: str
    classes: tuple[str, ...]
    labels: dict[int, Said]
    validation: dict[int, Said]
    unlabelled: tuple[int, ...]
    contents: tuple[str, ...]
    shown: str = ""
    kind: Kind = Kind.CLASS
    start: BackboneSpec | None = None
    backbone: ResolvedBackbone | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True)
class TuningState:
    """What is known of a project's fine-tuning.

    Attributes:
        tried: by control name, how many labels it had when its last fine-tuning began.
        attempt: the one under way.
        outcome: what it does, or what came of the last, for people.
    """

    tried: dict[str, int] = field(default_factory=dict)
    attempt: Attempt | None = None
    outcome: str = ""

    def over(self, outcome: str) -> "TuningState":
        """The state once the attempt has come to that."""
        return TuningState(self.tried, None, outcome)

    def anew(self, outcome: str) -> "TuningState":
        """The state once the attempt has come to that, and counts for none."""
        control = self.attempt.control if self.attempt else ""
        return TuningState({name: labels for name, labels in self.tried.items() if name != control}, None, outcome)


_ADAPTER = TypeAdapter(TuningState)


def read_tuning(store: Store, folder: str) -> TuningState:
    """The state of the project in that folder; a fresh one when there is none that can be read."""
    data = store.read(_path(folder))
    try:
        return _ADAPTER.validate_json(data) if data else TuningState()
    except ValidationError:  # of another release; the next try writes it anew
        return TuningState()


def write_tuning(store: Store, folder: str, state: TuningState) -> None:
    """Keep the state of the project in that folder."""
    store.write(_path(folder), _ADAPTER.dump_json(state))


def _path(folder: str) -> str:
    return f"{folder}/tuning.json"
