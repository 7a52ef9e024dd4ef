"""``guardmed serve``: the guard as a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve(
    model: Annotated[str | None, typer.Option(help="reference, a folder, a .gguf file, a hub id, or openai:MODEL@BASE_URL.", show_default="reference")] = None,
    adapter: Annotated[Path | None, typer.Option(help="Folder of a LoRA adapter.")] = None,
    policy: Annotated[str | None, typer.Option(help="Policy packs, comma-separated.", show_default="clinical")] = None,
    calibration: Annotated[Path | None, typer.Option(help="Claim-support calibration of this model.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen at.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.", show_default="8000")] = None,
    keys: Annotated[Path | None, typer.Option(help="YAML file of API keys: SHA-256 of each, and whose it is.")] = None,
    without_keys: Annotated[bool, typer.Option("--without-keys", help="Let anybody ask who can reach an address beyond this machine.")] = False,
    config: Annotated[Path | None, typer.Option(help="YAML file with all settings; options outrank it.")] = None,
    trust_remote_code: Annotated[bool, typer.Option(help="Run code that comes with the model.")] = False,
) -> None:
    """Serve a guarded model under OpenAI's interface, with a page to try it."""
    from guardmed.cli.console import err, loading
    from guardmed.errors import UsageError
    from guardmed.models import LanguageModel, load_model

    try:
        from guardmed.serve import load_settings
        from guardmed.serve.logs import write_logs
        from guardmed.serve.run import serve as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("guardmed"):
            raise
        raise UsageError(f"A server needs {error.name}, which is not installed.", mend="pip install 'guardmed[serve]'") from error

    settings = load_settings(
        config, model=model, adapter=adapter, policy=policy, calibration=calibration, host=host, port=port, keys=keys,
        without_keys=without_keys or None, trust_remote_code=trust_remote_code or None,
    )  # fmt: skip

    def load() -> LanguageModel:
        with loading(settings.model) as report:
            return load_model(settings.model, adapter=settings.adapter, trust_remote_code=settings.trust_remote_code, progress=report)

    write_logs()
    run(settings, load, lambda line: err().print(line, markup=False, soft_wrap=True))
