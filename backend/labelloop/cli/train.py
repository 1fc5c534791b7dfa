"""`labelloop train` and `labelloop rescore`: have a worker train now, or write the live version's scores again."""

from rich.console import Console
from rich.markup import escape

from labelloop.cli.console import JsonOption, ProjectOption, WaitOption, chosen, follow, opened, order_line, print_json


def train(project: ProjectOption = None, wait: WaitOption = True, as_json: JsonOption = False) -> None:
    """Train now, however little has changed, and say what came of it.

    A worker does it; the gate decides whether the result goes live.

    [dim]Examples:[/]

    [cyan]labelloop train[/]

    [cyan]labelloop train --project 1 --no-wait[/]
    """
    from labelloop.service.asking import ask_training, require_worker, training_standing
    from labelloop.service.report import report_on
    from labelloop.service.state import read_state

    with opened() as context:
        which = chosen(context, project)
        ask_training(context, which)
        if wait:
            require_worker(context)
            follow("Training", lambda: training_standing(context, which))
        if as_json:
            print_json(report_on(context, which))
        elif wait:
            state = read_state(context.store, which.folder)
            Console(highlight=False).print(escape(state.last_training or state.waiting_for or "The round has ended."))
        else:
            Console(highlight=False).print("A training was asked for; [cyan]labelloop status[/] tells how far it is.")


def rescore(project: ProjectOption = None, wait: WaitOption = True) -> None:
    """Write the scores of the live version into Label Studio again, and let them order the queue.

    What Label Studio has is compared with what it should have, and what is missing is written.

    [dim]Example:[/]

    [cyan]labelloop rescore --project 1[/]
    """
    from labelloop.service.asking import ask_push, push_standing, require_worker

    with opened() as context:
        which = chosen(context, project)
        live = ask_push(context, which)
        console = Console(highlight=False)
        if wait:
            require_worker(context)
            follow("Writing scores", lambda: push_standing(context, which))
            console.print(order_line(context, which))
        else:
            console.print(f"The scores of [bold]{live.name}[/] are being written.")
