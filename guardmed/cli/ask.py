"""``guardmed ask``: one guarded question."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def ask(
    question: Annotated[str, typer.Argument(help="The question; - reads it from standard input.")],
    model: Annotated[str, typer.Option(help="reference, a folder, a .gguf file or a hub id.")] = "reference",
    adapter: Annotated[Path | None, typer.Option(help="Folder of a LoRA adapter.")] = None,
    policy: Annotated[str, typer.Option(help="Policy packs, comma-separated.")] = "clinical",
    calibration: Annotated[Path | None, typer.Option(help="Claim-support calibration of this model.")] = None,
    thresholds: Annotated[Path | None, typer.Option(help="Thresholds of guardmed calibrate --claims: what is under them is cut.")] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Length of the answer.")] = 128,
    samples: Annotated[int, typer.Option(min=0, max=50, help="Answers drawn to check consistency; 0 draws none.")] = 0,
    stream: Annotated[bool, typer.Option(help="Print sentences as they pass the policy.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the whole response as JSON.")] = False,
    trust_remote_code: Annotated[bool, typer.Option(help="Run code that comes with the model.")] = False,
) -> None:
    """Ask a guarded model one question, and see what the guard decides and why."""
    from guardmed.cli.console import DECISION_STYLES, loading, out
    from guardmed.errors import UsageError
    from guardmed.guard import GuardedModel, GuardSettings
    from guardmed.models import load_model
    from guardmed.policy import load_policy

    text = _read(question)
    if not text.strip():
        raise UsageError("The prompt is empty.", mend="Write a question.")
    compiled = load_policy(policy)  # before the model: a broken policy should not cost a load
    with loading(model) as report:
        loaded = load_model(model, adapter=adapter, trust_remote_code=trust_remote_code, progress=report)
    checks = ("token", "p_true", "consistency") if samples else ("token", "p_true")
    settings = GuardSettings(checks=checks, samples=max(2, samples), on_unsupported="cut" if thresholds is not None else "caveat")
    guarded = GuardedModel(loaded, policy=compiled, calibration=calibration, thresholds=thresholds, settings=settings)
    if stream:
        for piece in guarded.stream(text, max_new_tokens=max_new_tokens):
            typer.echo(piece, nl=False)
        typer.echo()
        return
    response = guarded.generate(text, max_new_tokens=max_new_tokens)
    if json:
        typer.echo(response.to_json())
        return
    console = out()
    from rich.text import Text

    console.print(
        Text(f"{response.decision.value.upper()}", style=DECISION_STYLES[response.decision.value]),
        Text(f"  ({'; '.join(response.reasons) or 'nothing found'})"),
    )
    console.print(Text(response.text))
    for claim in response.claims:
        console.print(Text(f"  {claim.support:.2f} {claim.verdict:<11} {claim.text}", style="dim"))


def _read(question: str) -> str:
    from guardmed.errors import UsageError

    if question != "-":
        try:
            question.encode("utf-8")
        except UnicodeEncodeError:
            raise UsageError("The prompt is not UTF-8.", mend="Check the terminal's encoding, or pipe a UTF-8 file: guardmed ask - < file") from None
        return question
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"Standard input is not UTF-8 (byte {error.start}).", mend="Save it as UTF-8.") from None
