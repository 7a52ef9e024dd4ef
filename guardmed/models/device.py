"""Which device and number format a model runs in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Placement:
    """A torch device and dtype by name, and why."""

    device: str
    dtype: str
    reason: str

    @property
    def torch_dtype(self) -> Any:
        """The dtype as torch's object."""
        import torch

        return getattr(torch, self.dtype)


def probe() -> Placement:
    """Choose by what is there: CUDA, Apple's GPU, or the CPU's own bfloat16 units.

    bfloat16 halves the memory traffic that bounds generation, but a CPU without the instructions
    emulates it and is slower than in float32.
    """
    import torch

    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        if torch.cuda.is_bf16_supported():
            return Placement("cuda", "bfloat16", f"{name} computes in bfloat16")
        return Placement("cuda", "float16", f"{name} has no bfloat16")
    if torch.backends.mps.is_available():
        return Placement("mps", "bfloat16", "Apple GPU")
    features = torch.cpu.get_capabilities()
    native = [name for name in ("amx_bf16", "avx512_bf16", "bf16") if features.get(name)]
    if native:
        return Placement("cpu", "bfloat16", f"this CPU computes in bfloat16 ({native[0]})")
    return Placement("cpu", "float32", "this CPU has no bfloat16 instructions")
