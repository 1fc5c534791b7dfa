"""When a backbone is fine-tuned: settings, labels and what was tried before decide."""

from pathlib import Path
from typing import Final

from labelloop.learning.tuning import TUNERS
from labelloop.service.context import Context
from labelloop.service.enough import to_fine_tune, to_judge
from labelloop.service.projects import Project
from labelloop.service.tuning_state import TuningState, read_tuning
from labelloop.service.versions import LearnerRecord, Version
from labelloop.settings import Settings

GROWTH: Final = 1.5
"""Times the labels of the last try, after which it is tried again; what one gains grows with the logarithm of the labels."""
MINUTES: Final = 20.0


def tuning_is_due(context: Context, project: Project) -> bool:
    """Whether a fine-tuning of the project is to begin or to go on. Reads the store and loads nothing.

    Raises:
        StoreError: the store cannot be read.
    """
    if why_off(context.settings):
        return False
    state, live = read_tuning(context.store, project.folder), context.versions(project).live()
    if live is None:
        return False
    return state.attempt is not None or next_to_tune(context, project, live, state) is not None


def next_to_tune(context: Context, project: Project, live: Version, state: TuningState) -> LearnerRecord | None:
    """The first learner of the live version whose backbone is to be fine-tuned; None while there is none."""
    for record in live.learners:
        if not _why_not_yet(record, _labels(context, project, live, record), state, context.settings):
            return record
    return None


def describe_tuning(context: Context, project: Project, live: Version | None) -> str:
    """What the fine-tuning does, what came of the last, or why there is none; one sentence for people.

    Raises:
        StoreError: the store cannot be read.
    """
    state = read_tuning(context.store, project.folder)
    off = why_off(context.settings)
    if state.outcome and not (off and state.attempt):
        return state.outcome
    if off or live is None:
        return off
    reasons = (_why_not_yet(r, _labels(context, project, live, r), state, context.settings) for r in live.learners)
    return " ".join(dict.fromkeys(reasons))


def why_off(settings: Settings) -> str:
    """Why nothing is fine-tuned by these settings; empty when it is."""
    if settings.fine_tune == "off":
        return "Off."
    if settings.fine_tune == "on" or settings.fine_tune_minutes > 0 or _gpu(settings.device):
        return ""
    return "Off: no NVIDIA GPU here. Set LABELLOOP_FINE_TUNE_MINUTES to spend the processor's time on it."


def minutes_of(settings: Settings) -> float:
    """Minutes one fine-tuning may train in all."""
    return settings.fine_tune_minutes or MINUTES


def _why_not_yet(record: LearnerRecord, labels: int, state: TuningState, settings: Settings) -> str:
    tuner = TUNERS.get(record.control.kind)
    if tuner is None:
        return f"{record.control.name!r} has no fine-tuning: its kind, {record.control.kind}, has none."
    if reason := tuner.why_not(record.backbone_spec, record.backbone):
        return reason
    name, tried = record.control.name, state.tried.get(record.control.name, 0)
    wanted = max(to_fine_tune(settings, record.control.kind), round(GROWTH * tried))
    if labels < wanted:
        return f"Waits for {wanted} labels of {name!r}; there are {labels}."
    held_out = record.metrics.items if record.metrics else 0
    needed = to_judge(settings, record.control.kind)
    if held_out < needed:
        return f"Waits for {needed} held-out labels of {name!r} to be judged on; there are {held_out}."
    return ""


def _labels(context: Context, project: Project, live: Version, record: LearnerRecord) -> int:
    labels: dict[str, str] = context.versions(project).labels(live.name).get("labels", {}).get(record.control.name, {})
    return len(labels)


def _gpu(device: str) -> bool:
    """Whether a network would run on an NVIDIA GPU, found without loading torch."""
    if device != "auto":
        return device.startswith("cuda")
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()
