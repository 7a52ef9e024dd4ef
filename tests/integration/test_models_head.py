"""A head that is read from the left gives what it gives when read from the right."""

from __future__ import annotations

import copy

import pytest
import torch

from guardmed.models import load_model
from guardmed.models.head import quicken
from tests.integration.small import small_llama


@pytest.fixture(scope="module")
def model():
    """A small model whose head is quick."""
    made, _ = small_llama(["What helps against pain?"])
    quicken(made)
    return made


@pytest.mark.parametrize("rows", [1, 2, 5, 128, 129, 300])
def test_it_computes_the_same(model, rows):
    hidden = torch.randn(rows, 1, model.config.hidden_size)
    with torch.inference_mode():
        found = model.lm_head(hidden)
    assert found.shape == (rows, 1, model.config.vocab_size)
    torch.testing.assert_close(found, torch.nn.functional.linear(hidden, model.lm_head.weight))


def test_a_few_rows_are_read_from_the_left_and_no_others(model, monkeypatch):
    read = []
    right = torch.mm
    monkeypatch.setattr(torch, "mm", lambda one, other: read.append(other.shape[1]) or right(one, other))
    with torch.inference_mode():
        for rows in (1, 2, 128, 129):
            model.lm_head(torch.randn(rows, model.config.hidden_size))
    model.lm_head(torch.randn(5, model.config.hidden_size))  # while it learns
    assert read == [2, 128]


def test_what_learns_gets_its_gradients(model):
    hidden = torch.randn(4, model.config.hidden_size, requires_grad=True)
    model.lm_head(hidden).sum().backward()
    torch.testing.assert_close(hidden.grad, model.lm_head.weight.sum(dim=0).expand(4, -1))


def test_a_copy_reads_its_own_weights(model):
    other = copy.deepcopy(model)
    hidden = torch.randn(4, model.config.hidden_size)
    with torch.inference_mode():
        other.lm_head.weight.zero_()
        assert not other.lm_head(hidden).any()
        assert model.lm_head(hidden).any()


def test_heads_of_another_kind_are_left_alone():
    made, _ = small_llama(["What helps against pain?"])
    made.lm_head = torch.nn.Linear(made.config.hidden_size, made.config.vocab_size)  # with a bias
    quicken(made)
    assert "forward" not in vars(made.lm_head)
    made, _ = small_llama(["What helps against pain?"])
    quicken(made.to(torch.bfloat16))
    assert "forward" not in vars(made.lm_head)


def test_models_are_loaded_so(tmp_path):
    made, tokenizer = small_llama(["What helps against pain?"])
    made.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = load_model(str(tmp_path)).model
    on_cpu = loaded.lm_head.weight.device.type == "cpu" and loaded.lm_head.weight.dtype == torch.float32
    assert ("forward" in vars(loaded.lm_head)) == on_cpu
