"""``guardmed policy``: list, show, lint and test the packs."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from guardmed.cli.options import EncoderOption, JudgeOption

if TYPE_CHECKING:
    from guardmed.policy import Policy

app = typer.Typer(help="Clinical policy packs: list, show, lint, test.", no_args_is_help=True, rich_markup_mode="rich")
PackArgument = Annotated[str, typer.Argument(help="Packs, comma-separated names or folders.")]


@app.command("list")
def list_packs() -> None:
    """List the packs that ship with GuardMed."""
    from guardmed.cli.console import out, render
    from guardmed.policy.load import load_pack
    from guardmed.policy.packs import pack_names
    from guardmed.reporting import Table

    rows = []
    for name in pack_names():
        pack = load_pack(name)
        rows.append([name, pack.manifest.title["en"], pack.manifest.version, str(len(pack.rules)), ", ".join(pack.manifest.languages), pack.digest[:12]])
    out().print(render(Table("Policy packs", ["Name", "Title", "Version", "Rules", "Languages", "Digest"], rows)))


@app.command("show")
def show(pack: PackArgument = "clinical", rule: Annotated[str | None, typer.Option(help="One rule in full.")] = None) -> None:
    """Show the rules of a pack, or one rule in full."""
    from guardmed.cli.console import out, render
    from guardmed.errors import PolicyError
    from guardmed.policy import load_policy
    from guardmed.reporting import Table

    policy = load_policy(pack)
    if rule is None:
        rows = [[r.id, r.title["en"], r.severity.value, r.stage.value, r.action.value] for r in policy.rules]
        out().print(render(Table(f"Rules of {policy.name}", ["Rule", "Title", "Severity", "Stage", "Action"], rows)))
        return
    import yaml

    found = next((r for r in policy.rules if r.id == rule), None)
    if found is None:
        raise PolicyError(f"{policy.name} has no rule {rule!r}.", mend=f"See: guardmed policy show {pack}")
    typer.echo(yaml.safe_dump(found.model_dump(mode="json", exclude_defaults=True), allow_unicode=True, sort_keys=False, width=120))


@app.command("lint")
def lint(pack: PackArgument = "clinical") -> None:
    """Find rules without enough tests, without a language, or past their review date."""
    from guardmed.cli.console import out, render
    from guardmed.policy import load_policy
    from guardmed.policy.lint import lint as run
    from guardmed.reporting import Cell, Table

    policy = load_policy(pack)
    findings = run(policy, today=datetime.date.today())
    errors = sum(finding.level == "error" for finding in findings)
    if findings:
        rows: list[list[str | Cell]] = [[f.rule, Cell(f.level, "fail" if f.level == "error" else "inconclusive"), f.problem] for f in findings]
        out().print(render(Table("Findings", ["Rule", "Level", "Problem"], rows)))
    out().print(f"{len(policy.rules)} rules, {errors} errors, {len(findings) - errors} warnings")
    if errors:
        raise typer.Exit(1)


@app.command("test")
def test(
    pack: PackArgument = "clinical",
    mutate: Annotated[bool, typer.Option("--mutate", help="Also disguise the violating tests in every known way and count what is still stopped.")] = False,
    encoder: EncoderOption = None,
    judge: JudgeOption = None,
) -> None:
    """Run every rule's own tests."""
    from guardmed.cli.console import backends, out, render
    from guardmed.policy import load_policy
    from guardmed.policy.trial import run_trials
    from guardmed.reporting import Cell, Table

    policy = load_policy(pack, backends=backends(encoder=encoder, judge=judge))
    results = run_trials(policy)
    failed = [result for result in results if not result.passed]
    if failed:
        rows: list[list[str | Cell]] = [[r.rule, r.kind.replace("_", " "), r.language, Cell(r.text, "fail")] for r in failed]
        out().print(render(Table("Failed tests", ["Rule", "Kind", "Language", "Text"], rows)))
    out().print(f"{len(results) - len(failed)} of {len(results)} tests of {len(policy.rules)} rules passed")
    if mutate:
        _mutate(policy)
    if failed:
        raise typer.Exit(1)


def _mutate(policy: Policy) -> None:
    from guardmed.cli.console import out, progress, render
    from guardmed.policy.mutate import survivals
    from guardmed.policy.schema import Stage
    from guardmed.reporting import Table

    texts = [text for rule in policy.rules if rule.stage.covers(Stage.INPUT) for text in rule.tests.violating]
    with progress("Disguising", total=len(texts)) as update:

        def watched() -> Iterator[str]:
            for text in texts:
                yield text
                update()

        found = survivals(policy, watched())
    rows = [[item.transformation, item.language, f"{item.still} of {item.plain}", f"{item.share:.1%}"] for item in found]
    out().print(render(Table("Still stopped when disguised", ["Transformation", "Language", "Stopped", "Share"], rows)))
