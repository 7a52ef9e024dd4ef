"""Launch configurations, read by accelerate itself."""

from __future__ import annotations

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import DistributedType

from guardmed.align.launch import launch_config, launch_names
from guardmed.errors import UsageError

KINDS = {"ddp": DistributedType.MULTI_GPU, "fsdp": DistributedType.FSDP, "zero2": DistributedType.DEEPSPEED, "zero3": DistributedType.DEEPSPEED}


def launched(name, *, processes=()):
    """What ``accelerate launch`` makes of a configuration and of the command behind it."""
    line = ["--config_file", str(launch_config(name)), *processes, "-m", "guardmed", "align", "dpo", "--out", "run"]
    return _validate_launch_command(launch_command_parser().parse_args(line))[0]


def test_these_ship():
    assert launch_names() == tuple(KINDS)


def test_an_unknown_one_is_refused():
    with pytest.raises(UsageError, match="megatron"):
        launch_config("megatron")


@pytest.mark.parametrize("name", KINDS)
def test_accelerate_loads_it(name):
    config = load_config_from_file(str(launch_config(name)))
    assert config.distributed_type == KINDS[name]
    assert config.mixed_precision == "bf16"
    assert (config.num_machines, config.num_processes) == (1, 8)
    stages = {"zero2": 2, "zero3": 3}
    assert config.deepspeed_config.get("zero_stage") == stages.get(name)
    assert bool(config.fsdp_config) == (name == "fsdp")


@pytest.mark.parametrize("name", KINDS)
def test_it_launches_the_module(name):
    arguments = launched(name)
    assert (arguments.module, arguments.training_script) == (True, "guardmed")
    assert arguments.training_script_args == ["align", "dpo", "--out", "run"]
    assert (arguments.use_fsdp, arguments.use_deepspeed, arguments.multi_gpu) == (name == "fsdp", name.startswith("zero"), name == "ddp")


def test_the_command_line_outranks_it():
    assert launched("ddp", processes=("--num_processes", "2")).num_processes == 2


def test_what_is_sharded_is_saved_whole():
    assert launched("fsdp").fsdp_state_dict_type == "FULL_STATE_DICT"
    assert str(launched("zero3").zero3_save_16bit_model).lower() == "true"
    assert launched("fsdp").fsdp_auto_wrap_policy == "TRANSFORMER_BASED_WRAP"
