"""What a round or a fine-tuning knows of its project when it begins."""

from dataclasses import dataclass, replace
from typing import Self

from labelloop.labelstudio import LabelConfig, parse_label_config
from labelloop.records import Control
from labelloop.service.book import Book
from labelloop.service.context import Context
from labelloop.service.embedding import Embedder
from labelloop.service.labelling import Labelled, all_labels
from labelloop.service.projects import Project
from labelloop.service.state import BrokenItem, Place, read_broken
from labelloop.service.training import Incumbent
from labelloop.service.versions import LearnerRecord, Version


@dataclass(frozen=True, slots=True)
class Scene:
    """One project and its live version.

    Attributes:
        context: the doors.
        project: which.
        live: the live version, None before the first.
        book: its tasks.
        config: its label config.
        labelled: its labels, by control name.
        broken: what is set aside; more are added as they are met.
    """

    context: Context
    project: Project
    live: Version | None
    book: Book
    config: LabelConfig
    labelled: dict[str, Labelled]
    broken: dict[Place, BrokenItem]

    @classmethod
    def of(cls, context: Context, project: Project, book: Book) -> Self:
        """Read the rest from the store.

        Raises:
            LabelConfigError: the label config cannot be read.
            StoreError: the store cannot be read.
        """
        config, live = parse_label_config(project.label_config), context.versions(project).live()
        broken = read_broken(context.store, project.folder)
        return cls(context, project, live, book, config, all_labels(book, config), broken)

    def embedder(self, record: LearnerRecord) -> Embedder:
        """Embeds the project's tasks under a record's backbone."""
        return Embedder(self.context, self.project, record.control, record.backbone_spec, record.backbone, self.broken)

    def sides(self, control: Control) -> dict[str, bool]:
        """True (held out) or False by content digest, of every content of a control that was placed so far."""
        if self.live is None:
            return {}
        labels = self.context.versions(self.project).labels(self.live.name)
        sides: dict[str, bool] = labels.get("sides", {}).get(control.name, {})
        return sides

    def incumbent(self, control: Control) -> Incumbent | None:
        """The live version's learner of a control; None where there is none, or it knew other classes and cannot be compared."""
        if self.live is None:
            return None
        alike = (one for one in self.live.learnt if one.control.name == control.name and _same(one.control, control))
        record = next(alike, None)
        if record is None:
            return None
        learner = self.context.versions(self.project).learner(self.live.name, record)
        return Incumbent(learner, self.embedder(replace(record, control=control)))


def _same(before: Control, now: Control) -> bool:
    """Whether a control still asks for the same of the same."""
    return all(getattr(before, name) == getattr(now, name) for name in ("kind", "answer", "modality", "labels"))
