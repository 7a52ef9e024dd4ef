"""What every command prints with: results on standard output, everything else on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from guardmed.models.gguf import Progress
    from guardmed.policy import Backends
    from guardmed.reporting import Table

_STYLES = {"fail": "bold red", "pass": "bold green", "inconclusive": "bold yellow", "plain": ""}
DECISION_STYLES = {"allow": "green", "caveat": "yellow", "redact": "yellow", "abstain": "magenta", "refuse": "red", "escalate": "bold red"}


def out() -> Console:
    """Console of results."""
    from rich.console import Console

    return Console(highlight=False)


def err() -> Console:
    """Console of progress and messages."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def fail(problem: str, mend: str | None) -> None:
    """One clear message: what is wrong, and how to mend it."""
    from rich.text import Text

    console = err()
    console.print(Text.assemble(("Error: ", "bold red"), problem), soft_wrap=True)
    if mend:
        console.print(Text.assemble(("Mend: ", "bold"), mend), soft_wrap=True)


@contextmanager
def progress(title: str, total: float | None = None, *, unit: str | None = None) -> Iterator[Any]:
    """A bar with time left, and a rate where a unit is named, on a terminal; silence elsewhere. Yields ``update(advance, title)``."""
    console = err()
    if not console.is_terminal:
        yield lambda *_done, **_about: None
        return

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(TextColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f} {unit}/s" if task.speed else "")

    columns = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()]
    if unit:
        columns.append(Rate(""))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=total)

        def update(advance: float = 1, *, title: str | None = None, completed: float | None = None, total: float | None = None) -> None:
            bar.update(task, advance=None if completed is not None else advance, completed=completed, description=title, total=total)

        yield update


@contextmanager
def loading(spec: str) -> Iterator[Progress]:
    """A bar while a model is fetched, converted and loaded; yields what ``load_model`` reports to."""
    with progress(f"Loading {spec}", total=100) as update:

        def report(step: str, share: float) -> None:
            update(title=f"Preparing {spec}: {step}", completed=round(100 * share))

        yield report


def backends(*, encoder: str | None, judge: str | None) -> Backends:
    """Models for the rules that need one, from their names."""
    from guardmed.policy import Backends
    from guardmed.policy.similar import SentenceEncoder

    model = None
    if judge:
        from guardmed.models import load_model

        with loading(judge) as report:
            model = load_model(judge, progress=report)
    return Backends(encoder=SentenceEncoder(encoder) if encoder else None, judge=model)


def render(table: Table) -> Any:
    """A report's table for the terminal."""
    from rich.table import Table as RichTable
    from rich.text import Text

    from guardmed.reporting import Cell

    rich = RichTable(title=Text(table.caption), title_justify="left", title_style="bold", header_style="bold")
    for name in table.header:
        rich.add_column(Text(name), overflow="fold")
    for row in table.rows:
        rich.add_row(*(Text(cell.text, style=_STYLES[cell.tone]) if isinstance(cell, Cell) else Text(cell) for cell in row))
    return rich
