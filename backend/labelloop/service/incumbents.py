"""What a candidate is judged against: the live version's learner, on what earlier versions held out."""

from labelloop.records import Control
from labelloop.service.context import Context
from labelloop.service.embedding import Embedder
from labelloop.service.projects import Project
from labelloop.service.state import BrokenItem, Place
from labelloop.service.training import Incumbent
from labelloop.service.versions import Version


def sides_of(context: Context, project: Project, live: Version | None, control: Control) -> dict[str, bool]:
    """True (held out) or False by content digest, of every content of a control that was placed so far."""
    if live is None:
        return {}
    kept: dict[str, bool] = context.versions(project).labels(live.name).get("sides", {}).get(control.name, {})
    return kept


def _same(before: Control, now: Control) -> bool:
    """Whether a control still asks for the same of the same."""
    return all(getattr(before, name) == getattr(now, name) for name in ("kind", "answer", "modality", "labels"))


def incumbent_of(
    context: Context, project: Project, live: Version | None, control: Control, broken: dict[Place, BrokenItem]
) -> Incumbent | None:
    """The live version's learner of a control; None where there is none, or it knew other classes and cannot be compared."""
    for record in live.learnt if live else ():
        if record.control.name == control.name and _same(record.control, control) and live:
            learner = context.versions(project).learner(live.name, record)
            embedder = Embedder(context, project, control, record.backbone_spec, record.backbone, broken)
            return Incumbent(record, learner, embedder)
    return None
