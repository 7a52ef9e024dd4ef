"""The command line: one module a command, each thin; what they do lives in the package."""

from __future__ import annotations

import gc
import sys

import typer

from guardmed.cli import align, ask, audit, calibrate, check, compare, demo, doctor, evaluate, gate, policy, serve, show, verify
from guardmed.cli.console import fail
from guardmed.errors import EXIT_EXECUTION, EXIT_INTERRUPTED, GuardMedError
from guardmed.version import VERSION

app = typer.Typer(
    name="guardmed",
    help="Safety and calibration layer for medical language models.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("ask")(ask.ask)
app.add_typer(check.app, name="check")
app.add_typer(policy.app, name="policy")
app.command("calibrate")(calibrate.calibrate)
app.command("audit")(audit.audit)
app.add_typer(align.app, name="align")
app.command("eval")(evaluate.evaluate)
app.command("gate")(gate.gate)
app.command("verify")(verify.verify)
app.command("serve")(serve.serve)
app.command("show")(show.show)
app.command("compare")(compare.compare)
app.command("doctor")(doctor.doctor)


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", help="Print the version and end."), debug: bool = typer.Option(False, "--debug", help="Show tracebacks.")
) -> None:
    if version:
        typer.echo(VERSION)
        raise typer.Exit


def main() -> None:
    """Run the command line; every error ends in one message and its exit code."""
    # Importing makes many objects and next to no garbage: looking for it after every 700 of them takes a tenth of a short command's time.
    gc.set_threshold(50_000, 20, 20)
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        code = app(args=arguments, standalone_mode=False)
    except GuardMedError as error:
        if debug:
            raise
        fail(error.problem, error.mend)
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except Exception as error:
        if debug:
            raise
        code = _unexpected(error)
    if code == EXIT_INTERRUPTED:  # typer turns most interrupts into this code by itself
        fail("Interrupted.", "Nothing half-written was left behind.")
    sys.exit(code if isinstance(code, int) else 0)


def _unexpected(error: Exception) -> int:
    show = getattr(error, "show", None)
    if show is not None and hasattr(error, "exit_code"):  # a usage error of the command line itself
        show()
        return int(error.exit_code)
    fail(f"{type(error).__name__}: {error}", "This is a defect in GuardMed; run again with --debug and report it.")
    return EXIT_EXECUTION
