"""Small models of the families that the field uses: the real classes with random weights, tokenizers trained here.

Chat templates are written anew and render each family's published format.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from guardmed.errors import UsageError
from guardmed.models import Generation, Sampling, load_model
from guardmed.models.prompting import render, signed
from tests.integration.small import small_llama
from tests.servers import Failure, serving

EN = "What is metformin used for?"
ZH = "二甲双胍的作用是什么？"
LONG = (
    "A woman of 62 with type 2 diabetes takes metformin with meals. Her blood sugar is high in the morning, her kidneys are well, "
    "and she asks whether the dose of metformin may be raised. What is the next step?"
)
CONVERSATION = [
    {"role": "system", "content": "Answer in one sentence."},
    {"role": "user", "content": "What is aspirin?"},
    {"role": "assistant", "content": "It is a drug against pain."},
    {"role": "user", "content": "阿司匹林怎么服用？"},
]
PROMPTS = [EN, ZH, LONG, CONVERSATION]
TEXTS = [
    EN, ZH, LONG, "Metformin lowers blood sugar in type 2 diabetes.", "It is a drug against pain.", "Answer in one sentence.",
    "Aspirin is taken with water after meals.", "Question and Answer, user and assistant, model and system.",
    "Question: Yes or No, true or false? Answer: [Yes].",
    "二甲双胍降低血糖，随餐服用。", "阿司匹林怎么服用？", "饭后用水服用。", "问题：血糖高怎么办？", "回答：控制饮食，按时服药。",
] * 3  # fmt: skip
CONTEXT = 256
# In float32, whose last digits depend on the shape of a batch.
EXACT = {"atol": 1e-4, "rtol": 0}
SIZE = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT,
}  # fmt: skip

LLAMA3 = (
    "{{ bos_token }}{% for turn in messages %}<|start_header_id|>{{ turn['role'] }}<|end_header_id|>\n\n{{ turn['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
# Knows no system turn, as the first Mistral Instruct and what was trained from it.
MISTRAL = (
    "{{ bos_token }}{% for turn in messages %}"
    "{% if turn['role'] != ('assistant' if loop.index0 % 2 else 'user') %}{{ raise_exception('user and assistant must take turns') }}{% endif %}"
    "{% if turn['role'] == 'user' %}[INST] {{ turn['content'] }} [/INST]{% else %}{{ turn['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
QWEN = (
    "{% for turn in messages %}<|im_start|>{{ turn['role'] }}\n{{ turn['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA3 = (
    "{{ bos_token }}{% set held = namespace(system='') %}{% for turn in messages %}"
    "{% if turn['role'] == 'system' %}{% set held.system = turn['content'] ~ '\n\n' %}{% else %}"
    "<start_of_turn>{{ 'model' if turn['role'] == 'assistant' else 'user' }}\n{{ held.system }}{{ turn['content'] | trim }}<end_of_turn>\n"
    "{% set held.system = '' %}{% endif %}{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def byte_level(special: Sequence[str], *, begin: str | None) -> Tokenizer:
    """Pieces of bytes, as Llama 3 and Qwen have them."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=list(special), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    made.train_from_iterator(TEXTS, trainer)
    made.decoder = decoders.ByteLevel()
    return _beginning(made, begin)


def pieces(special: Sequence[str], *, begin: str, space_first: bool) -> Tokenizer:
    """Pieces of characters with bytes for the rest, as SentencePiece makes them; ``space_first`` puts a space before every text."""
    made = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    spaces = normalizers.Replace(" ", "▁")
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces]) if space_first else spaces
    # No piece holds a space but at its beginning.
    made.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    made.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=450, special_tokens=list(special), show_progress=False))
    file = json.loads(made.to_str())
    vocabulary = file["model"]["vocab"]
    for byte in range(256):
        vocabulary[f"<0x{byte:02X}>"] = len(vocabulary)
    made = Tokenizer.from_str(json.dumps(file | {"pre_tokenizer": None}))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    made.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if space_first else steps)
    return _beginning(made, begin)


def words(special: Sequence[str], *, begin: str) -> Tokenizer:
    """Words and marks by themselves, their ends marked, as BioGPT has them."""
    split = pre_tokenizers.Whitespace()
    merges: list[tuple[str, str]] = []
    vocabulary = dict.fromkeys(special)
    # Not by a trainer: with ends of words it gives other numbers each time.
    for word in sorted({word for text in TEXTS for word, _ in split.pre_tokenize_str(text)}):
        parts = [*word[:-1], f"{word[-1]}</w>"]
        vocabulary |= dict.fromkeys([*word, *parts])
        grown = parts[0]
        for part in parts[1:] if len(word) < 12 else []:
            merges.append((grown, part))
            grown += part
            vocabulary[grown] = None
    numbers = {piece: number for number, piece in enumerate(vocabulary)}
    made = Tokenizer(models.BPE(vocab=numbers, merges=list(dict.fromkeys(merges)), unk_token="<unk>", end_of_word_suffix="</w>"))
    made.add_special_tokens(list(special))
    made.pre_tokenizer = split
    made.decoder = decoders.BPEDecoder(suffix="</w>")
    return _beginning(made, begin)


def _beginning(made: Tokenizer, begin: str | None) -> Tokenizer:
    if begin:
        made.post_processor = processors.TemplateProcessing(single=f"{begin} $A", special_tokens=[(begin, made.token_to_id(begin))])
    return made


@dataclass(frozen=True)
class Kind:
    """One family.

    Attributes
    ----------
    model : str
        Stem of the names of transformers' classes.
    tokenizer : callable
    marks : mapping
        Which tokens begin, end and pad.
    stops : tuple of str
        Every token that ends an answer.
    settings : mapping
        Of the configuration.
    template : str or None
    begin : str or None
        What a prompt begins with, once.
    end : str
        What the last turn ends with, before the answer.
    called : str or None
        The tokenizer's class by the name that checkpoints of the family give.
    """

    model: str
    tokenizer: Callable[[], Tokenizer]
    marks: dict[str, str]
    stops: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=lambda: dict(SIZE))
    template: str | None = None
    begin: str | None = None
    end: str = "\nAnswer:"
    called: str | None = None


KINDS = {
    "llama3": Kind(
        "Llama",
        lambda: byte_level(["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], begin="<|begin_of_text|>"),
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},  # and no token to pad with
        ("<|end_of_text|>", "<|eot_id|>"),
        template=LLAMA3,
        begin="<|begin_of_text|>",
        end="<|start_header_id|>assistant<|end_header_id|>\n\n",
        called="PreTrainedTokenizerFast",
    ),
    "mistral": Kind(
        "Mistral",
        lambda: pieces(["<unk>", "<s>", "</s>"], begin="<s>", space_first=True),
        {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
        ("</s>",),
        settings=SIZE | {"head_dim": 16, "sliding_window": 24},
        template=MISTRAL,
        begin="<s>",
        end=" [/INST]",
        called="LlamaTokenizer",
    ),
    "qwen3": Kind(
        "Qwen3",
        lambda: byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], begin=None),
        {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
        ("<|im_end|>", "<|endoftext|>"),
        settings=SIZE | {"head_dim": 16},
        template=QWEN,
        end="<|im_start|>assistant\n",
        called="Qwen2Tokenizer",
    ),
    "gemma3": Kind(
        "Gemma3",
        lambda: pieces(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"], begin="<bos>", space_first=False),
        {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"},
        ("<eos>", "<end_of_turn>"),
        settings=SIZE | {"head_dim": 16, "sliding_window": 12, "layer_types": ["sliding_attention", "full_attention"]},
        template=GEMMA3,
        begin="<bos>",
        end="<start_of_turn>model\n",
        called="GemmaTokenizer",
    ),
    # Its own tokenizer needs sacremoses; this one has its marks and ends its words as that one does.
    "biogpt": Kind(
        "BioGpt",
        lambda: words(["<s>", "<pad>", "</s>", "<unk>"], begin="</s>"),
        {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"},
        ("</s>",),
        settings={name: value for name, value in SIZE.items() if name != "num_key_value_heads"},
        begin="</s>",
    ),
    # Built by small_llama; what it is made of stands here for the tests.
    "plain": Kind("Llama", lambda: Tokenizer(models.BPE()), {}, ("</s>",), begin="<s>"),
}


def save(name, folder) -> None:
    """A checkpoint of a family, as a training run leaves it."""
    kind = KINDS[name]
    if name == "plain":
        model, tokenizer = small_llama(TEXTS)
    else:
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=kind.tokenizer(), **kind.marks)
        ids = {mark: tokenizer.convert_tokens_to_ids(kind.marks[f"{mark}_token"]) for mark in ("bos", "eos", "pad") if f"{mark}_token" in kind.marks}
        settings = {f"{mark}_token_id": ids.get(mark) for mark in ("bos", "eos", "pad")} | kind.settings | {"vocab_size": len(tokenizer)}
        config = getattr(transformers, f"{kind.model}TextConfig" if kind.model == "Gemma3" else f"{kind.model}Config")(**settings)
        torch.manual_seed(0)
        model = getattr(transformers, f"{kind.model}ForCausalLM")(config)
        model.generation_config.eos_token_id = [tokenizer.convert_tokens_to_ids(stop) for stop in kind.stops]
        tokenizer.chat_template = kind.template
    widen(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if kind.called:
        file = folder / "tokenizer_config.json"
        file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"tokenizer_class": kind.called}), encoding="utf-8")


def widen(model) -> None:
    """Make what a model says depend on what it reads: fresh weights are so small that every token is about as likely as any other.

    Where the vocabulary is read as it is written, larger weights there would make the model repeat itself.
    """
    tied = model.get_input_embeddings().weight if model.config.tie_word_embeddings else None
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1 and parameter is not tied:
                parameter.mul_(8)


def save_adapter(base, folder, *, seed=1) -> None:
    """A LoRA adapter whose both halves are random."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    config = LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(folder)


@dataclass(frozen=True)
class Backend:
    """A model behind the protocol, and the one with the weights: the same, or what the server serves."""

    name: str
    model: Any
    local: Any
    kind: Kind
    folder: Any
    adapter: Any

    @property
    def remote(self) -> bool:
        return self.model is not self.local

    @property
    def context(self) -> int:
        """What the checkpoint says of itself."""
        positions: int = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))["max_position_embeddings"]
        return positions

    def encoded(self, prompt) -> list[int]:
        return self.local._encode(prompt)

    @cached_property
    def _begun(self) -> dict[str, tuple[str, list[int]]]:
        return {}

    def tokens(self, prompt, answer) -> list[int]:
        """Tokens of an answer where it stands, all in one text; none if the prompt's would be others."""
        if str(prompt) not in self._begun:
            asked = render(prompt, self.local.tokenizer)
            space = " " if asked[-1:].isascii() and not asked[-1:].isspace() else ""
            text = signed(asked, self.local.hint.of(prompt)) if self.local.hint else asked
            self._begun[str(prompt)] = (text + space, self.encoded(prompt))
        text, head = self._begun[str(prompt)]
        ids = self.local.tokenizer(text + answer)["input_ids"]
        return ids[len(head) :] if ids[: len(head)] == head else []

    @cached_property
    def words(self) -> list[int]:
        """Tokens that are a word or a mark by themselves: no part of a character, no sign of the template."""
        tokenizer = self.local.tokenizer
        texts = {
            token: tokenizer.decode([token]) for token in set(range(len(tokenizer))) - set(tokenizer.all_special_ids) - set(tokenizer.added_tokens_decoder)
        }
        return [token for token, text in texts.items() if text.strip() and "\ufffd" not in text and text.strip().isprintable()]

    @property
    def speaking(self) -> dict[str, Any]:
        """Keywords that let the model write nothing but words, which a server's tokens can spell."""
        words = {token for token in self.words if self.local.tokenizer.decode([token]).strip().isalpha()} | self.local._stop_ids
        return {"suppress_tokens": sorted(set(range(self.local.model.config.vocab_size)) - words)}

    def direct(self, prompt, ids) -> torch.Tensor:
        """Log-probabilities of every token at each place of an answer: the whole model, one row, no cache, no padding."""
        head = self.encoded(prompt)
        with torch.inference_mode():
            logits = self.local.model(torch.tensor([[*head, *ids]]), use_cache=False).logits[0].double()
        return torch.log_softmax(logits, dim=-1)[len(head) - 1 :]

    def own(self, prompt, ids) -> np.ndarray:
        """What the weights themselves say of the tokens of an answer."""
        values = self.direct(prompt, ids)
        return np.array([float(values[place, token]) for place, token in enumerate(ids)])

    def canonical(self, prompt):
        """Lets the model write only what its tokenizer would make the same tokens of, so that the text can be scored token by token."""
        width, words, tokenizer = len(self.encoded(prompt)), self.words[:: len(self.words) // 60], self.local.tokenizer

        def allowed(_row, ids):
            made = ids[width:].tolist()
            return [token for token in words if self.tokens(prompt, tokenizer.decode([*made, token]).strip()) == [*made, token]]

        return allowed


def listed(local, **more) -> dict:
    return {"id": "small", "object": "model", "root": "/weights", "max_model_len": local.capabilities.context} | more


@contextmanager
def served(backend, conduct):
    """A server of a model on a real socket, opened by its specification."""
    local, extra, lock = backend.local, backend.speaking, threading.Lock()  # a seed is the process's

    def answer(messages, body):
        asked = {"max_new_tokens": body["max_tokens"], "temperature": body["temperature"], "seed": body.get("seed"), "stop": tuple(body.get("stop") or ())}
        try:
            with lock:
                [[said]] = local.generate([messages], Sampling(**asked, extra=extra))
        except UsageError as error:
            raise Failure(400, message=str(error)) from error
        entries = []
        values = backend.direct(messages, said.scores.token_ids)
        for (start, end), value, row in zip(said.scores.offsets, said.scores.logprobs, values, strict=False):
            top = {}
            for likely, token in zip(*(part.tolist() for part in row.topk(20)), strict=True):
                top.setdefault(local.tokenizer.decode([token]), likely)
            entries.append({"token": said.text[start:end], "logprob": float(value), "top": top})
        return {"text": said.text, "finish": said.finish, "logprobs": entries}

    with serving(answer, conduct) as url, closing(load_model(f"openai:small@{url}")) as model:
        yield model


def same(found: Generation, other: Generation) -> None:
    """Two answers are one, up to rounding."""
    assert (found.text, found.finish, found.scores is None) == (other.text, other.finish, other.scores is None)
    if found.scores is not None:
        assert (found.scores.token_ids, found.scores.offsets) == (other.scores.token_ids, other.scores.offsets)
        np.testing.assert_allclose(found.scores.logprobs, other.scores.logprobs, **EXACT)


def refused(ask, *kinds) -> None:
    """It is refused, and the error says how to mend it."""
    with pytest.raises(kinds or UsageError) as caught:
        ask()
    assert caught.value.mend
