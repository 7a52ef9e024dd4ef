"""Training states without pickles: safetensors and JSON, and a manifest without which a checkpoint does not count.

Transformers' Trainer writes optimiser, scheduler and random states with ``torch.save``. What is kept here holds
the same, in formats that can't run code, and is only taken up again if every file is what was written.
"""

from __future__ import annotations

import json
import random
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardmed.errors import DataError
from guardmed.files import digest_file, read_json, write_json

MANIFEST = "manifest.json"
_OPTIMIZER = "optimizer.safetensors"
_SCALARS = "state.json"
_PICKLES = ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "scaler.pt")


def seal(folder: Path) -> None:
    """Write the digests of a folder's files, last: a folder without them was not finished."""
    for name in _PICKLES:
        (folder / name).unlink(missing_ok=True)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    write_json(folder / MANIFEST, {path.relative_to(folder).as_posix(): digest_file(path) for path in files})


def whole(folder: Path) -> bool:
    """Whether a folder is sealed and none of its files has changed since."""
    with suppress(DataError, OSError):
        manifest: dict[str, str] = read_json(folder / MANIFEST)
        return bool(manifest) and all((folder / name).is_file() and digest_file(folder / name) == digest for name, digest in manifest.items())
    return False


def latest(folder: Path) -> Path | None:
    """The newest whole training state of a run, if there is one."""
    found = [path for path in folder.glob("checkpoint-*") if path.is_dir() and path.name.rpartition("-")[2].isdigit()]
    return next((path for path in sorted(found, key=lambda path: -int(path.name.rpartition("-")[2])) if whole(path)), None)


def sharded(trainer: Any) -> bool:
    """Whether a trainer holds but a part of the optimiser's state."""
    return bool(trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled)


class SafeState:
    """Mixin before one of TRL's trainers: keeps its state in safetensors, and only whole.

    Sharded training (FSDP, DeepSpeed) would keep its optimiser in pickles of its own, so nothing of it is kept.
    """

    if TYPE_CHECKING:
        optimizer: Any
        lr_scheduler: Any
        args: Any
        state: Any

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        import torch
        from safetensors.torch import save_file

        if not self.args.should_save or sharded(self):
            return
        found = self.optimizer.state_dict()
        tensors: dict[str, Any] = {}
        scalars: dict[str, Any] = {}
        for index, values in found["state"].items():
            for name, value in values.items():
                if isinstance(value, torch.Tensor):
                    tensors[f"{index}/{name}"] = value.detach().cpu().contiguous()
                else:
                    scalars[f"{index}/{name}"] = value
        save_file(tensors, str(Path(output_dir) / _OPTIMIZER))
        scheduler = {name: value for name, value in self.lr_scheduler.state_dict().items() if _plain(value)}
        write_json(Path(output_dir) / _SCALARS, {"optimizer": scalars, "groups": _groups(found["param_groups"]), "scheduler": scheduler})

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        from safetensors.torch import load_file

        if checkpoint is None or not (Path(checkpoint) / _OPTIMIZER).is_file():
            return
        kept = read_json(Path(checkpoint) / _SCALARS)
        state: dict[int, dict[str, Any]] = {}
        for key, value in [*load_file(str(Path(checkpoint) / _OPTIMIZER)).items(), *kept["optimizer"].items()]:
            index, _, name = key.partition("/")
            state.setdefault(int(index), {})[name] = value
        groups = [{**now, **then} for now, then in zip(self.optimizer.state_dict()["param_groups"], kept["groups"], strict=True)]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.lr_scheduler.load_state_dict({**self.lr_scheduler.state_dict(), **kept["scheduler"]})

    def _save_rng_state(self, output_dir: str) -> None:
        import numpy as np
        import torch

        kind, keys, place, has_gauss, cached = np.random.get_state()
        version, words, gauss = random.getstate()
        value = {
            "python": [version, list(words), gauss],
            "numpy": [kind, keys.tolist(), place, has_gauss, cached],  # type: ignore[union-attr, attr-defined, unused-ignore]
            "torch": torch.random.get_rng_state().tolist(),
            "cuda": [one.tolist() for one in torch.cuda.random.get_rng_state_all()] if torch.cuda.is_available() else [],
        }
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        (Path(output_dir) / f"rng-{self.args.process_index}.json").write_text(json.dumps(value), encoding="utf-8")

    def _load_rng_state(self, checkpoint: str | None) -> None:
        import numpy as np
        import torch

        file = Path(checkpoint or "") / f"rng-{self.args.process_index}.json"
        if checkpoint is None or not file.is_file():
            return
        value = read_json(file)
        version, words, gauss = value["python"]
        random.setstate((version, tuple(words), gauss))
        kind, keys, place, has_gauss, cached = value["numpy"]
        np.random.set_state((kind, np.array(keys, dtype=np.uint32), place, has_gauss, cached))
        torch.random.set_rng_state(torch.tensor(value["torch"], dtype=torch.uint8))
        if torch.cuda.is_available() and value["cuda"]:
            torch.cuda.random.set_rng_state_all([torch.tensor(one, dtype=torch.uint8) for one in value["cuda"]])

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[misc]
        if self.args.should_save:
            seal(Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}")


def _plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_plain(one) for one in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _groups(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in group.items() if _plain(value)} for group in groups]
