"""A made kind of project in a store, trained and published as a round does, without a Label Studio."""

from labelloop.labelstudio import TaskRecord
from labelloop.labelstudio.tasks import AnnotationRecord
from labelloop.service.book import Book, write_book
from labelloop.service.context import Context
from labelloop.service.projects import Project
from labelloop.service.releases import learner_record, release
from labelloop.service.scene import Scene
from labelloop.service.training import Candidate, train_control
from labelloop.service.versions import Version
from support.kinds import Made


def book_of(made: Made, count: int, taught: int) -> Book:
    """Tasks 1, 2, …, the first of which are annotated."""

    def task(number: int) -> TaskRecord:
        data, result = made.item(number)
        moment = f"2026-11-24T02:00:{number % 60:02d}.000000Z"
        said = (AnnotationRecord(number, 1, False, False, moment, result),) if number < taught else ()
        return TaskRecord(number + 1, data, moment, said)

    return Book({number + 1: task(number) for number in range(count)})


def train(context: Context, project: Project, book: Book) -> tuple[Version, dict[str, Candidate]]:
    """Train every control and publish, from the control that draws to the one that asks about what is drawn."""
    write_book(context.store, project.folder, book)
    scene = Scene.of(context, project, book)
    controls, candidates = scene.config.controls, {}
    for control in controls:
        targets = scene.labelled[control.name].targets
        found = learner_record(context.settings, control, scene.live)
        candidates[control.name] = train_control(
            found,
            [book.tasks[task_id] for task_id in sorted(targets)],
            targets,
            scene.embedder(found),
            scene.sides(control),
            scene.incumbent(control),
            context.settings,
            lambda *_: None,
        )
    return release(context.versions(project), scene.live, candidates, controls, context.settings), candidates
