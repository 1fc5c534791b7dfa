"""How far the scores of the live version have been written into Label Studio."""

from dataclasses import dataclass, field

from labelloop.service.store import Store


@dataclass(slots=True)
class PushState:
    """One version's scores and how many Label Studio has acknowledged.

    Attributes:
        version: whose.
        scores: by task id, in [0, 1]; lower is served sooner.
        done: tasks whose prediction Label Studio has.
        switched: the project's model_version is this version, so its scores order the queue.
        certain: `done` is what Label Studio holds; False while an import is under way, and so after a crash in one.
    """

    version: str
    scores: dict[int, float] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    switched: bool = False
    certain: bool = False


def read_push(store: Store, folder: str) -> PushState | None:
    """The state in that project folder; None before the first push."""
    record = store.read_json(_path(folder))
    if record is None:
        return None
    scores = {int(task_id): score for task_id, score in record["scores"].items()}
    return PushState(record["version"], scores, set(record["done"]), record["switched"], record["certain"])


def write_push(store: Store, folder: str, state: PushState) -> None:
    """Keep the state in that project folder."""
    store.write_json(
        _path(folder),
        {
            "version": state.version,
            "scores": state.scores,
            "done": sorted(state.done),
            "switched": state.switched,
            "certain": state.certain,
        },
    )


def forget_push(store: Store, folder: str) -> None:
    """Forget it, so that the next push asks Label Studio what it holds."""
    store.delete(_path(folder))


def _path(folder: str) -> str:
    return f"{folder}/push.json"
