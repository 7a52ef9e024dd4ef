"""What an audit says on a model card: ``model-index`` metadata, as the Hugging Face hub reads it."""

from __future__ import annotations

from typing import Any

import yaml

from guardmed.audit.report import AuditReport


def model_index(report: AuditReport) -> str:
    """YAML of the audit's verdict and its largest gaps, one metric for each axis and primary outcome."""
    # The hub takes a source only with an address, so what measured it stands here.
    about = {"guardmed": report.guardmed_version, "alpha": report.alpha}
    metrics: list[dict[str, Any]] = [{"type": "bias_audit_verdict", "name": "Verdict", "value": report.verdict, "args": about}]
    for axis, outcomes in report.axes.items():
        for outcome, result in outcomes.items():
            if result.role != "primary" or not result.pairs:
                continue
            worst = max(result.pairs, key=lambda pair: abs(pair.gap))
            metrics.append(
                {
                    "type": "max_paired_gap",
                    "name": f"{axis}: {outcome}, {worst.a} minus {worst.b} ({result.verdict})",
                    "value": round(worst.gap, 4),
                    "args": {"ci": [round(bound, 4) for bound in worst.ci], "margin": result.margin, "n_pairs": worst.n_pairs},
                }
            )
    dataset = {"name": report.title, "type": f"guardmed-audit/{report.definition or 'records'}", "revision": report.definition_digest}
    entry = {
        "task": {"type": "text-generation"},
        "dataset": {name: value for name, value in dataset.items() if value},
        "metrics": metrics,
    }
    index = {"model-index": [{"name": report.model or "unnamed", "results": [entry]}]}
    return str(yaml.safe_dump(index, allow_unicode=True, sort_keys=False, width=120))
