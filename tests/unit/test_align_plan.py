"""Estimates of memory and compute, against counts that were made by hand."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from guardmed.align.plan import Estimate, estimate, estimate_stage, plan_table, read_config
from guardmed.align.settings import load_settings
from guardmed.errors import ModelError, UsageError

# Two blocks of 4 x 8 x 8 + 3 x 8 x 16 + 2 x 8 = 656 weights; embeddings and output layer of 100 x 8; the last norm of 8.
SMALL = {
    "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 2, "vocab_size": 100,
}  # fmt: skip
# Llama 2 7B as published, 6,738,415,616 parameters.
SEVEN = {
    "model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32,
    "num_key_value_heads": 32, "vocab_size": 32000, "tie_word_embeddings": False,
}  # fmt: skip
SUMMED = ("weights", "adapter", "gradients", "optimizer", "reference")


def small(config=SMALL, **changes) -> Estimate:
    options = {"stage": "dpo", "batch": 1, "length": 10, "completion": 4, "rank": 2, "layers": None, "dtype": "float32", "checkpointing": False}
    return estimate(config, **(options | changes))


class TestCounts:
    def test_by_hand(self):
        found = small()
        assert found.parameters == 2 * 656 + 2 * 800 + 8
        # Four layers of 8 and 8, three of 8 and 16; rank 2.
        assert found.trainable == 2 * 2 * (4 * 16 + 3 * 24)
        assert (found.weights, found.adapter, found.gradients) == (4 * found.parameters, 4 * found.trainable, 4 * found.trainable)
        assert found.optimizer == 2 * found.adapter
        assert found.tokens_per_step == 20

    def test_of_a_published_model(self):
        assert small(SEVEN).parameters == 6_738_415_616
        # 16 on every linear layer of Llama 2 7B, as PEFT prints it.
        assert small(SEVEN, rank=16).trainable == 39_976_960

    def test_only_the_last_layers(self):
        assert small(layers=1).trainable * 2 == small().trainable
        assert small(layers=1).activations * 2 == small().activations
        assert small(layers=2) == small()

    def test_other_names(self):
        named = {"model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_head": 12, "vocab_size": 50257, "n_positions": 1024, "n_inner": None}
        assert small(named).parameters == 124_439_808
        assert small(named).counted_as == "gpt2"

    def test_the_text_model_of_a_nested_configuration(self):
        # Gemma 3 leaves its usual sizes out of the nested part.
        text = {"model_type": "gemma3_text", "num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 32}
        found = small({"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 1152}})
        full = text | {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262208, "tie_word_embeddings": True}
        assert found == small(full)
        assert found.counted_as == "gemma3_text"

    def test_an_unknown_family_is_counted_as_llama_and_says_so(self):
        found = small(SMALL | {"model_type": "unheard-of"})
        assert found.counted_as == "llama"
        assert found == small()

    def test_a_configuration_object(self):
        class Config:
            def to_dict(self):
                return SMALL

        assert small(Config()) == small()


class TestStages:
    def test_supervised_training_of_one_sequence_a_row(self):
        assert small(stage="sft").tokens_per_step == 10
        assert small(stage="sft").activations * 2 == small(stage="dpo").activations
        assert small(stage="sft", length=1000).logits == small(stage="sft", length=256).logits

    def test_dpo_holds_whole_logits_and_no_second_model(self):
        found = small(stage="dpo")
        assert found.logits == 2 * 10 * 100 * 16
        assert small(stage="dpo", completion=1).logits == found.logits
        assert found.reference == 0

    def test_a_reward_model_has_a_score_instead_of_logits(self):
        found = small(stage="reward")
        assert found.logits == 0
        assert found.parameters == small().parameters - 800 + 8
        assert found.trainable == small().trainable + 8

    def test_ppo_holds_reward_and_value_models_and_trains_the_latter(self):
        found = small(stage="ppo")
        assert found.reference == 2 * small(stage="reward").weights
        assert found.trainable == 2 * small().trainable + 8
        # Keys and values of 2 blocks of width 8, and twice the scores of 4 new tokens.
        assert found.generation_cache == 4 * (2 * 2 * 8 * 10) + 4 * 2 * 4 * 100

    def test_grpo_takes_logits_of_completions_only(self):
        assert small(stage="grpo").logits == 5 * 100 * 16
        assert small(stage="grpo").reference == 0
        assert small(stage="grpo").generation_cache == 4 * (2 * 2 * 8 * 10)

    @pytest.mark.parametrize("stage", ["sft", "dpo", "reward", "ppo", "grpo"])
    @pytest.mark.parametrize("completion", [1, 10])
    def test_the_total_is_of_what_is_held_at_once(self, stage, completion):
        found = small(stage=stage, completion=completion)
        assert found.total == sum(getattr(found, part) for part in SUMMED) + max(found.activations + found.logits, found.generation_cache)

    def test_a_long_cache_sets_the_total(self):
        # One block trained on, many keys and values.
        found = small(SMALL | {"num_hidden_layers": 200, "vocab_size": 4}, stage="grpo", layers=1)
        assert found.generation_cache > found.activations + found.logits
        assert found.total == sum(getattr(found, part) for part in SUMMED) + found.generation_cache


class TestCompute:
    def test_by_hand(self):
        """A token of supervised training: 640 weights a block and 800 in the output layer, forward and for the gradient of the input."""
        frozen, attention, adapter = 2 * 640 * 2, 4 * 10 * 8 * 2, 2 * small().trainable
        head = 2 * 800
        assert small(stage="sft").flops_per_token == 2 * (frozen + head) + 3 * attention + 3 * adapter
        assert small(stage="dpo").flops_per_token == small(stage="sft").flops_per_token + frozen + attention + head
        again = small(stage="sft", checkpointing=True).flops_per_token
        assert again == small(stage="sft").flops_per_token + frozen + attention + adapter

    def test_fewer_layers_send_less_back(self):
        assert small(layers=1).flops_per_token < small(layers=2).flops_per_token


class TestFormats:
    def test_half_the_bytes(self):
        assert small(dtype="bfloat16").weights * 2 == small().weights
        assert small(dtype="float16") == small(dtype="bfloat16")
        # PEFT keeps adapters in float32, but for those beside quantised weights.
        assert small(dtype="bfloat16").adapter == small().adapter == 2 * small(dtype="4bit").adapter

    def test_four_bits_are_of_the_linear_layers_of_blocks(self):
        found = small(dtype="4bit")
        linear = 2 * 640
        assert found.weights == round(linear * (4 + 0.127) / 8) + 4 * (found.parameters - linear)
        # 6.48 billion weights in 4 bits and 0.26 billion in 32: about 4.1 GiB.
        assert 4.0 < small(SEVEN, dtype="4bit").weights / 2**30 < 4.2

    def test_checkpointing_trades_memory_for_compute(self):
        kept, again = (small(SEVEN, length=2048, dtype="bfloat16", checkpointing=flag) for flag in (False, True))
        assert again.activations * 10 < kept.activations
        assert again.flops_per_token > kept.flops_per_token
        # The input of each block, and one block whole.
        inputs = 2 * 2048 * 32 * 4096 * 2
        assert again.activations == inputs + kept.activations // 32

    def test_seven_billion_in_four_bits_fit_into_16_gib(self):
        found = small(SEVEN, dtype="4bit", rank=16, length=1024, completion=512, checkpointing=True)
        assert found.total < 16 * 2**30
        assert small(SEVEN, dtype="bfloat16", rank=16, length=1024, completion=512, checkpointing=False).total > 16 * 2**30


class TestSharding:
    @pytest.mark.parametrize("sharding", ["none", "fsdp", "zero2", "zero3"])
    def test_what_is_divided(self, sharding):
        one, four = (small(SEVEN, dtype="bfloat16", devices=devices, sharding=sharding) for devices in (1, 4))
        divided = {"none": (), "zero2": ("gradients", "optimizer")}.get(sharding, ("weights", "adapter", "gradients", "optimizer"))
        for part in (*SUMMED, "activations", "logits"):
            if part in divided and part != "weights":
                assert getattr(four, part) * 4 == getattr(one, part)
            elif part not in divided:
                assert getattr(four, part) == getattr(one, part)
        assert (four.weights < one.weights) == ("weights" in divided)
        # What is gathered comes on top of the quarter.
        assert four.weights * 4 > one.weights
        assert four.tokens_per_step == 4 * one.tokens_per_step
        assert (four.trainable, four.parameters) == (one.trainable, one.parameters)

    def test_deepspeed_keeps_three_numbers_in_float32(self):
        assert small(dtype="bfloat16", sharding="zero2").optimizer == 12 * small().trainable
        assert small(dtype="bfloat16", sharding="none").optimizer == 8 * small().trainable

    def test_ppos_other_models_are_sharded_too(self):
        assert small(stage="ppo", devices=2, sharding="zero3").reference * 2 == small(stage="ppo").reference


class TestSettings:
    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "config.json").write_text(json.dumps(SMALL), encoding="utf-8")
        (tmp_path / "model.safetensors").touch()
        return str(tmp_path)

    def test_a_stage_as_its_settings_have_it(self, folder):
        settings = load_settings(changes={"lora.rank": 2, "lora.layers": 1, "load.bits": 4, "load.checkpointing": True})
        settings.dpo.arguments.update(per_device_train_batch_size=3, max_length=40)
        assert estimate_stage("dpo", folder, settings) == small(batch=3, length=40, rank=2, layers=1, dtype="4bit", checkpointing=True)

    def test_what_is_generated(self, folder):
        settings = load_settings(changes={"load.bits": 4, "lora.rank": 2})
        settings.grpo.arguments.update(per_device_train_batch_size=4, max_completion_length=30)
        expected = small(stage="grpo", batch=4, length=30 + 256, completion=30, dtype="4bit")
        assert estimate_stage("grpo", folder, settings) == expected

    def test_devices(self, folder):
        settings = load_settings(changes={"load.bits": 4})
        assert (
            estimate_stage("sft", folder, settings, devices=4, sharding="zero3").tokens_per_step == 4 * estimate_stage("sft", folder, settings).tokens_per_step
        )

    @pytest.mark.parametrize("model", ["someone/model", "openai:model@http://localhost:1/v1"])
    def test_a_model_that_is_elsewhere(self, model):
        with pytest.raises(ModelError, match="not on this machine"):
            estimate_stage("dpo", model, load_settings())


class TestErrors:
    @pytest.mark.parametrize("key", ["num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size"])
    def test_a_missing_size(self, key):
        with pytest.raises(ModelError, match=key):
            small({name: value for name, value in SMALL.items() if name != key})

    @pytest.mark.parametrize("key", ["num_local_experts", "n_routed_experts", "kv_lora_rank", "state_size"])
    def test_shapes_that_are_not_counted(self, key):
        with pytest.raises(ModelError, match=key):
            small(SMALL | {"model_type": "other", key: 8})

    @pytest.mark.parametrize(
        "changes", [{"batch": 0}, {"rank": 0}, {"devices": 0}, {"layers": 0}, {"layers": 3}, {"length": 0, "completion": 0}, {"completion": 11}]
    )
    def test_a_size_out_of_range(self, changes):
        with pytest.raises(UsageError, match=next(iter(changes))):
            small(**changes)

    def test_reads_a_folder(self, tmp_path):
        (tmp_path / "config.json").write_text(json.dumps(SMALL), encoding="utf-8")
        assert small(read_config(tmp_path)) == small()

    @pytest.mark.parametrize("text", [None, "{", "[]"])
    def test_a_folder_without_a_configuration(self, tmp_path, text):
        if text is not None:
            (tmp_path / "config.json").write_text(text, encoding="utf-8")
        with pytest.raises(ModelError, match=r"config\.json"):
            read_config(tmp_path)


class TestTable:
    @pytest.mark.parametrize("stage", ["sft", "dpo", "reward", "ppo", "grpo"])
    def test_has_every_part(self, stage):
        found = small(SEVEN, stage=stage, dtype="bfloat16")
        table = plan_table(found)
        rows = {str(row[0]): [str(cell) for cell in row[1:]] for row in table.rows}
        sized = [
            part.name for part in fields(Estimate) if part.type == "int" and part.name not in ("tokens_per_step", "trainable", "parameters", "flops_per_token")
        ]
        for part in sized:
            assert rows[part.replace("_", " ").capitalize()][0] == f"{getattr(found, part) / 2**30:.2f} GiB"
        assert stage in table.caption
        assert "llama" in table.caption
        assert f"{found.trainable:,}" in rows["Adapter"][1]
        assert ("no second model" in rows["Reference"][1]) == (stage != "ppo")
        assert ("nothing is generated" in rows["Generation cache"][1]) == (stage not in ("ppo", "grpo"))
