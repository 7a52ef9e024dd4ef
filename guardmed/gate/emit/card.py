"""What a gate says on a model card: ``model-index`` metadata, as the Hugging Face hub reads it.

See ``model_index_to_eval_results`` in ``huggingface_hub`` and the hub's "Model Cards" guide.
"""

from __future__ import annotations

from typing import Any

import yaml

from guardmed.gate.emit.words import figure, set_aside, tidied
from guardmed.gate.report import GateReport


def model_index(report: GateReport) -> str:
    """YAML of the verdict and of every stage's figure, with what its checks made of it.

    Who reads a verdict must see beside it which checks were waived, by whom and until when.
    """
    report = tidied(report)
    # The hub takes a source only with an address, so what measured it stands here.
    about = {"guardmed": report.guardmed_version, "fingerprint": report.fingerprint, "policy": report.policy_digest, **set_aside(report)}
    metrics: list[dict[str, Any]] = [{"type": "gate_verdict", "name": "Verdict", "value": report.verdict, "args": about}]
    for stage, found in report.evidence.items():
        value = figure(found.value)
        if value is None:
            continue
        checks = {result.id: result.verdict for result in report.checks if result.stage == stage}
        args = {"n": found.total, "planned": found.planned, "checks": checks}
        metrics.append({"type": found.metric, "name": f"{stage}: {found.metric}".replace("_", " "), "value": value, "args": args})
    entry = {
        "task": {"type": "text-generation"},
        "dataset": {"name": f"GuardMed gate: {report.name}", "type": f"guardmed-gate/{report.name}", "revision": report.config_digest},
        "metrics": metrics,
    }
    index = {"model-index": [{"name": report.checkpoint, "results": [entry]}]}
    return str(yaml.safe_dump(index, allow_unicode=True, sort_keys=False, width=120))
