"""What a fine-tuning knows of its project: the store's copy of it, as the last round left it."""

from dataclasses import dataclass
from typing import Self

from labelloop.labelstudio import LabelConfig, parse_label_config
from labelloop.records import Control
from labelloop.service.book import Book, read_book
from labelloop.service.context import Context
from labelloop.service.embedding import Embedder
from labelloop.service.incumbents import sides_of
from labelloop.service.labelling import Labelled, all_labels
from labelloop.service.projects import Project
from labelloop.service.state import BrokenItem, Place, read_broken
from labelloop.service.versions import LearnerRecord, Version


@dataclass(frozen=True, slots=True)
class Scene:
    """One project and its live version.

    Attributes:
        context: the doors.
        project: which.
        live: the live version.
        book: its tasks.
        config: its label config.
        labelled: its labels, by control name.
        broken: what is set aside; more are added as they are met.
    """

    context: Context
    project: Project
    live: Version
    book: Book
    config: LabelConfig
    labelled: dict[str, Labelled]
    broken: dict[Place, BrokenItem]

    @classmethod
    def of(cls, context: Context, project: Project, live: Version) -> Self:
        """Read the store.

        Raises:
            LabelConfigError: the label config cannot be read.
            StoreError: the store cannot be read.
        """
        book, config = read_book(context.store, project.folder), parse_label_config(project.label_config)
        broken = read_broken(context.store, project.folder)
        return cls(context, project, live, book, config, all_labels(book, config), broken)

    def embedder(self, record: LearnerRecord) -> Embedder:
        """Embeds the project's tasks under a record's backbone."""
        return Embedder(self.context, self.project, record.control, record.backbone_spec, record.backbone, self.broken)

    def sides(self, control: Control) -> dict[str, bool]:
        """Which contents of a control are held out, as the live version has it."""
        return sides_of(self.context, self.project, self.live, control)
