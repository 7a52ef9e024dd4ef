"""Configurations of ``accelerate launch`` for more than one device, as they ship with the package.

``accelerate launch --config_file "$(python -c 'from guardmed.align.launch import launch_config; print(launch_config("zero3"))')" -m guardmed align dpo ...``

Each counts on one machine of 8 GPUs; ``accelerate launch --num_processes N`` says otherwise.
"""

from __future__ import annotations

from pathlib import Path

from guardmed.errors import UsageError

_FOLDER = Path(__file__).resolve().parent


def launch_names() -> tuple[str, ...]:
    """Names of the configurations."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def launch_config(name: str) -> Path:
    """The file of a configuration.

    Parameters
    ----------
    name : {"ddp", "fsdp", "zero2", "zero3"}
        Whole copies of the model; weights sharded by PyTorch; gradients and optimizer states sharded by DeepSpeed; weights too.

    Raises
    ------
    UsageError
        There is none of that name.
    """
    if name not in launch_names():
        raise UsageError(f"There is no launch configuration {name!r}.", mend=f"Known: {', '.join(launch_names())}.")
    return _FOLDER / f"{name}.yaml"
