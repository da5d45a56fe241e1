"""The progress of an import on a terminal: rows, rows in a second, and the time that is left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return the number of rows that are counted in a second."""
        return Text(f"{task.speed:,.0f} rows/s" if task.speed else "")


@contextmanager
def progress_of(console: Console, rows: int) -> Iterator[Callable[[int], None]]:
    """Show a bar during the block. Call the yielded function with the number of rows that are done."""
    columns = (TextColumn("importing"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("importing", total=rows)
        yield lambda done: progress.update(task, completed=done)
