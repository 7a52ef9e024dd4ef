from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from guardmed.models.fingerprint import fingerprint_folder, fingerprint_in_memory, manifest

DECIDE = [
    "model.safetensors", "config.json", "generation_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.json",
    "chat_template.jinja", "modeling_own.py",
]  # fmt: skip


@pytest.mark.parametrize("name", DECIDE)
def test_every_file_that_decides_an_answer_counts(name: str, tmp_path: Path) -> None:
    before = fingerprint_folder(tmp_path)
    (tmp_path / name).write_text("{}", encoding="utf-8")
    assert list(manifest(tmp_path)) == [name]
    assert fingerprint_folder(tmp_path) != before


def test_other_files_may_change(tmp_path: Path) -> None:
    before = fingerprint_folder(tmp_path)
    (tmp_path / "README.md").write_text("new", encoding="utf-8")
    (tmp_path / "trainer_state.json").write_text("{}", encoding="utf-8")
    assert fingerprint_folder(tmp_path) == before


def in_memory(config: dict[object, object] | None = None, generation: dict[object, object] | None = None) -> str:
    model = SimpleNamespace(
        state_dict=lambda: {"weight": torch.ones(2, 2)},
        config=SimpleNamespace(to_dict=lambda: {"dtype": "float32", 1: "a", "text": {"layers": 2}} | (config or {})),
        generation_config=SimpleNamespace(to_dict=lambda: {"eos_token_id": [1]} | (generation or {})),
    )
    return fingerprint_in_memory(model, SimpleNamespace(get_vocab=lambda: {"a": 0}, chat_template=None))


def test_what_a_model_in_memory_is_told_counts() -> None:
    told = [
        in_memory(), in_memory({"rope_theta": 1e6}), in_memory({"dtype": "bfloat16"}), in_memory({"text": {"layers": 3}}), in_memory({1: "b"}),
        in_memory(None, {"eos_token_id": [2]}), in_memory(None, {"temperature": 0.5}),
    ]  # fmt: skip
    assert len(set(told)) == len(told)


def test_where_it_came_from_does_not_count() -> None:
    history: dict[object, object] = {"transformers_version": "9", "_name_or_path": "/tmp/x", "architectures": ["A"]}
    history["text"] = {"layers": 2, "transformers_version": "9"}
    assert in_memory(history, {"_from_model_config": True, "transformers_version": "9"}) == in_memory()


def test_values_that_json_does_not_know() -> None:
    assert in_memory({"dtype": torch.float32, "kinds": {"b", "a"}, "pair": (1, 2)}) == in_memory(
        {"dtype": "torch.float32", "kinds": ["a", "b"], "pair": [1, 2]}
    )
