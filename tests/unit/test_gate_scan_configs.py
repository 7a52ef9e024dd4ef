"""Attacks through configurations, chat templates, tokenizers and adapters."""

from __future__ import annotations

import json
from pathlib import Path

import jinja2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from guardmed.gate.scan import scan
from guardmed.models.fingerprint import fingerprint_folder

FUZZ = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
PARTS = st.sampled_from(
    ["{{", "}}", "{%", "%}", "for", "in", "x", ".", "[", "]", "(", ")", "|", "map", "'a'", "if", "endif", "#}", "{#", " ", "1", "set", "=", "\x00", "é"]
)
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["vocab", "id", "content", "a"]), inner, max_size=3),
    max_leaves=6,
)
VOCABULARY = {"<s>": 0, "</s>": 1, "a": 2, "b": 3}


def tokenizer(**changes: object) -> dict[str, object]:
    return {
        "version": "1.0",
        "added_tokens": [{"id": 1, "content": "</s>"}, {"id": 4, "content": "<x>"}],
        "model": {"type": "BPE", "vocab": VOCABULARY},
    } | changes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    write(folder, "config.json", {"model_type": "llama", "vocab_size": 5, "bos_token_id": 0, "eos_token_id": [1], "pad_token_id": -1})
    write(folder, "generation_config.json", {"eos_token_id": [1, 4], "pad_token_id": None})
    write(folder, "tokenizer.json", tokenizer())
    write(folder, "tokenizer_config.json", {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "added_tokens_decoder": {"4": {"content": "<x>"}}})
    save_file({"model.embed_tokens.weight": np.ones((5, 2), np.float32)}, folder / "model.safetensors")
    return folder


def write(folder: Path, name: str, value: object) -> None:
    (folder / name).write_text(json.dumps(value))


def told(folder: Path, file: str) -> str:
    return "; ".join(finding.problem for finding in scan(folder) if finding.file == file)


def test_sound(folder: Path) -> None:
    assert scan(folder) == []


class TestJson:
    @pytest.mark.parametrize(
        "content", [b"", b"{", b"{'a': 1}", b"\xff\xfe", b"[" * 200_000, b'{"a": 1, "a": 2}', b'{"a": {"b": 1, "b": 1}}', b'{"a": ' + b"1" * 5000 + b"}"]
    )
    @pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "special_tokens_map.json"])
    def test_not_json(self, folder: Path, name: str, content: bytes) -> None:
        (folder / name).write_bytes(content)
        assert "not JSON" in told(folder, name)

    def test_absurdly_large(self, folder: Path) -> None:
        with open(folder / "config.json", "wb") as file:
            file.truncate(1 << 36)
        assert "larger than 32 MB" in told(folder, "config.json")

    @pytest.mark.parametrize(
        "value",
        [
            {"auto_map": {"AutoModel": "m.M"}},
            {"text_config": {"auto_map": {"AutoModel": "m.M"}}},
            {"parts": [[{"auto_map": {"x": "y"}}]]},
            {"custom_pipelines": {"x": {"impl": "x.X"}}},
            {"trust_remote_code": True},
            {"attn_implementation": "someone/kernel"},
            {"vision_config": {"_attn_implementation": "someone/kernel"}},
            {"_attn_implementation_internal": "someone/kernel"},
            {"auto_mapping": {"base_model_class": "M", "parent_library": "transformers_modules.m"}},
            {"auto_mapping": {"parent_library": "os"}},
        ],
    )
    @pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "preprocessor_config.json", "deep/adapter_config.json"])
    def test_remote_code(self, folder: Path, name: str, value: object) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        write(folder, name, value)
        assert "asks for remote code" in told(folder, name)

    @pytest.mark.parametrize(
        "value",
        [{"auto_map": {}}, {"auto_map": None}, {"trust_remote_code": False}, {"attn_implementation": "sdpa"}, {"limit": float("inf")}, {"auto_mapping": None},
         {"auto_mapping": {"base_model_class": "LlamaModel", "parent_library": "transformers.models.llama.modeling_llama"}}],
    )  # fmt: skip
    def test_no_remote_code(self, folder: Path, value: object) -> None:
        write(folder, "preprocessor_config.json", value)
        assert scan(folder) == []

    def test_modules_of_a_sentence_encoder(self, folder: Path) -> None:
        write(folder, "modules.json", [{"idx": 0, "type": "sentence_transformers.models.Transformer"}])
        assert scan(folder) == []
        write(folder, "modules.json", [{"idx": 0, "type": "custom_st.Transformer"}])
        assert "asks for remote code" in told(folder, "modules.json")


SOUND_TEMPLATES = [
    "{{ messages }}",
    "{% for m in messages %}{{ m.role }}: {{ m['content'] | trim }}{% if not loop.last %}\n{% endif %}{% endfor %}",
    "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
    "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}{{ rest | length }}",
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}{% endfor %}",
    "{% set ns = namespace(last=-1) %}{% for i in range(3) %}{% set ns.last = i %}{% endfor %}{{ ns.last }}",
    "{{ strftime_now('%d %b %Y') }}{{ tools | tojson(indent=4) }}",
    "{% macro show(x, deep=true) %}{{ x | string }}{% if deep %}{{ show(x.inner, deep=false) }}{% endif %}{% endmacro %}{{ show(messages[0]) }}",
    "{% for k, v in tool.items() if k != 'return' %}{{ k }}{{ v | tojson }}{% endfor %}{% for k, v in args | items %}{{ k ~ v }}{% endfor %}",
    "{{ content.split('</think>')[-1].lstrip('\\n') }}{{ '<a>' + x.strip() + '</a>' }}{{ 'x' if content.startswith('a') or content.endswith('b') }}",
    "{{ messages | selectattr('role', 'equalto', 'user') | list | last }}{{ kinds | map('upper') | join(', ') }}",
    "{{ messages | map(attribute='content') | first }}",
    "{% if messages[loop_index - 1].role != 'tool' %}{% endif %}{{ messages[(messages | length) - 1] }}{{ a[-9:] }}",
    "{% set _args = call.arguments %}{{ _args.get('x', none) }}{{ x is defined and x is not none and x is mapping }}",
    "{% for m in messages %}{% if m.skip %}{% continue %}{% endif %}{% break %}{% endfor %}",
    "raw text with __underscores__ outside of any expression",
]


class TestTemplates:
    @pytest.mark.parametrize("text", SOUND_TEMPLATES)
    def test_sound(self, folder: Path, text: str) -> None:
        (folder / "chat_template.jinja").write_text(text)
        write(folder, "chat_template.json", {"chat_template": text})
        write(folder, "processor_config.json", {"chat_template": [{"name": "default", "template": text}, {"name": "tool_use", "template": text}]})
        assert scan(folder) == []

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("{{ ''.__class__ }}", "Python internals (__class__)"),
            ("{{ ''['__class__'] }}", "Python internals"),
            ("{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}", "Python internals"),
            ("{{ x|attr('y') }}", "the filter attr"),
            ("{{ x|attr('\\x5f_class__') }}", "internals"),
            ("{{ ['x']|map('attr', 'y')|list }}", "uses map with attr"),
            ("{{ ['x']|map(name, 'y')|list }}", "uses map with"),
            ("{{ ['x']|map(attribute='__class__')|list }}", "internals"),
            ("{{ ['x']|map(attribute='a._b')|list }}", "chooses an attribute"),
            ("{{ ['x']|map(attribute=y)|list }}", "chooses an attribute"),
            ("{{ ['x']|selectattr('_x')|list }}", "chooses an attribute"),
            ("{{ ['x']|selectattr(name)|list }}", "chooses an attribute"),
            ("{{ ['x']|select(name)|list }}", "uses select with"),
            ("{{ ['x']|map(**kw)|list }}", "uses map with"),
            ("{{ x['_' ~ '_class'] }}", "puts the name of an item together"),
            ("{{ x['_' + '_class'] }}", "puts the name of an item together"),
            ("{{ x['_' * 2] }}", "puts the name of an item together"),
            ("{{ x['ssalc'|reverse] }}", "puts the name of an item together"),
            ("{{ x['_private'] }}", "internals (_private)"),
            ("{{ x._private }}", "internals (_private)"),
            ("{{ x.mro }}", "internals (mro)"),
            ("{{ x.gi_frame.f_globals }}", "internals (gi_frame)"),
            ("{{ lipsum.x }}", "internals (lipsum)"),
            ("{{ cycler }}", "internals (cycler)"),
            ("{{ self }}", "internals (self)"),
            ("{{ __import__('os') }}", "internals (__import__)"),
            ("{{ dict() }}", "calls dict"),
            ("{{ open('/etc/passwd') }}", "calls open"),
            ("{{ nothing_known(1) }}", "calls nothing_known"),
            ("{{ messages[0].run() }}", "calls the method run"),
            ("{{ '{0}'.format(x) }}", "calls the method format"),
            ("{{ x.format_map(y) }}", "calls the method format_map"),
            ("{{ messages.append(1) }}", "calls the method append"),
            ("{{ messages.pop() }}", "calls the method pop"),
            ("{{ messages[0]() }}", "calls what it computes"),
            ("{{ (a or b)() }}", "calls what it computes"),
            ("{% set range = x.format %}{{ range('a') }}", "calls range"),
            ("{% macro m(range) %}{{ range(1) }}{% endmacro %}", "calls range"),
            ("{% for namespace in x %}{{ namespace() }}{% endfor %}", "calls namespace"),
            ("{{ range(*x) }}", "unpacked"),
            ("{{ namespace(**x) }}", "unpacked"),
            ("{{ 'a' | format(1) }}", "the filter format"),
            ("{{ '%999999s' % x }}", "formats text with %"),
            ("{{ x | pprint }}", "the filter pprint"),
            ("{{ x | xmlattr }}", "the filter xmlattr"),
            ("{{ x | center(10) }}", "the filter center"),
            ("{{ x is callable }}", "the test callable"),
            ("{{ x is filter }}", "the test filter"),
            ("{% include 'secret.txt' %}", "uses include"),
            ("{% import 'x' as y %}", "uses import"),
            ("{% from 'x' import y %}", "uses fromimport"),
            ("{% extends 'x' %}", "uses extends"),
            ("{% block x %}{% endblock %}", "uses block"),
            ("{{ 9 ** 9 ** 9 ** 9 }}", "uses pow"),
            ("{{ 'a' * 99999999999 }}", "absurd number"),
            ("{% for i in range(999999999) %}{% endfor %}", "absurd number"),
            ("{{ x", "no template"),
            ("{% for %}", "no template"),
            ("{% endfor %}", "no template"),
            ("{% unknown %}", "no template"),
            ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nests too deeply"),
            ("{{ 1 " + "+ 1" * 3_000 + " }}", "nests too deeply"),
            ("x" * 300_000, "longer than 256 KB"),
        ],
    )
    @pytest.mark.parametrize("place", ["jinja", "config", "named", "object"])
    def test_found(self, folder: Path, place: str, text: str, words: str) -> None:
        name = {"jinja": "additional_chat_templates/tools.jinja", "config": "tokenizer_config.json"}.get(place, "chat_template.json")
        (folder / name).parent.mkdir(exist_ok=True)
        if place == "jinja":
            (folder / name).write_text(text)
        else:
            named = [{"name": "default", "template": "{{ messages }}"}, {"name": "tools", "template": text}]
            write(folder, name, {"chat_template": {"config": text, "named": named, "object": {"tools": text}}[place]})
        assert words in told(folder, name)
        assert "template" in told(folder, name)

    @pytest.mark.parametrize("value", [1, True, [1], ["x"], [{"name": "a"}], [{"template": "x"}], [{"name": "a", "template": 1}], {"a": 1}])
    def test_of_another_kind(self, folder: Path, value: object) -> None:
        write(folder, "tokenizer_config.json", {"chat_template": value})
        assert "neither a text nor a named text" in told(folder, "tokenizer_config.json")

    def test_a_name_twice(self, folder: Path) -> None:
        write(folder, "tokenizer_config.json", {"chat_template": [{"name": "a", "template": "x"}] * 2})
        assert "comes twice" in told(folder, "tokenizer_config.json")

    def test_nothing_is_rendered(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def rendered(*_args: object, **_kwargs: object) -> None:
            raise AssertionError

        monkeypatch.setattr(jinja2.Environment, "compile", rendered)
        monkeypatch.setattr(jinja2.Template, "render", rendered)
        (folder / "chat_template.jinja").write_text(SOUND_TEMPLATES[1])
        assert scan(folder) == []

    @FUZZ
    @given(st.lists(PARTS))
    def test_random_templates_never_raise(self, folder: Path, parts: list[str]) -> None:
        (folder / "chat_template.jinja").write_text(" ".join(parts))
        scan(folder)


class TestTokenizer:
    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ({}, "no vocabulary"),
            ([], "no vocabulary"),
            ({"model": None}, "no vocabulary"),
            ({"model": {"vocab": 3}}, "no vocabulary"),
            ({"model": {"vocab": [[1, 2], 3]}}, "no vocabulary"),
            ({"model": {"vocab": {}}}, "is empty"),
            ({"model": {"vocab": {"a": 0, "b": 0}}}, "the tokens a and b have the same id"),
            ({"model": {"vocab": {"a": -1}}}, "no number from 0 on"),
            ({"model": {"vocab": {"a": "0"}}}, "no number from 0 on"),
            ({"model": {"vocab": {"a": True}}}, "no number from 0 on"),
            ({"model": {"vocab": {"a": 1.5}}}, "no number from 0 on"),
            ({"model": {"vocab": {"a": 5}}}, "ids run to 5, and the embedding has 5 rows"),
            ({"model": {"vocab": {"a": 2**70}}}, "ids run to"),
            ({"model": {"vocab": [[str(i), 0.0] for i in range(6)]}}, "ids run to 5"),
            ({"model": {"vocab": [["a", 0.0], ["a", 0.0]]}}, "same token comes twice"),
            (tokenizer(added_tokens=[{"id": 5, "content": "<y>"}]), "embedding has 5 rows"),
            (tokenizer(added_tokens=[{"id": 4, "content": "<y>"}, {"id": 4, "content": "<z>"}]), "another's too"),
            (tokenizer(added_tokens=[{"id": 2, "content": "<y>"}]), "another's too"),
            (tokenizer(added_tokens=[{"id": 4, "content": "a"}]), "and 2 in the vocabulary"),
            (tokenizer(added_tokens=[{"id": -1, "content": "<y>"}]), "has the id -1"),
            (tokenizer(added_tokens=[{"id": "4", "content": "<y>"}]), "has the id 4"),
            (tokenizer(added_tokens=[{"content": "<y>"}]), "no vocabulary"),
            (tokenizer(added_tokens=["<y>"]), "no vocabulary"),
        ],
    )
    def test_found(self, folder: Path, value: object, words: str) -> None:
        write(folder, "tokenizer.json", value)
        assert words in told(folder, "tokenizer.json")

    @pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
    @pytest.mark.parametrize(
        "values",
        [{"eos_token_id": 5}, {"eos_token_id": -1}, {"eos_token_id": [1, 99]}, {"bos_token_id": "1"}, {"bos_token_id": True}, {"bos_token_id": 1.0},
         {"pad_token_id": 5}, {"text_config": {"eos_token_id": 5}}, {"eos_token_id": [[1]]}],
    )  # fmt: skip
    def test_special_ids(self, folder: Path, name: str, values: dict[str, object]) -> None:
        write(folder, name, {"vocab_size": 5} | values)
        assert "_token_id is" in told(folder, name)

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ({"eos_token": "<gone>"}, "eos_token <gone> is not in the vocabulary"),
            ({"bos_token": {"content": "<gone>"}}, "bos_token <gone> is not in the vocabulary"),
            ({"bos_token": 3}, "bos_token 3"),
            ({"added_tokens_decoder": {"3": {"content": "<x>"}}}, "and 4 in tokenizer.json"),
            ({"added_tokens_decoder": {"9": {"content": "<y>"}}}, "embedding has 5 rows"),
            ({"added_tokens_decoder": {"x": {"content": "<y>"}}}, "described wrongly"),
            ({"added_tokens_decoder": {"4": "<x>"}}, "described wrongly"),
        ],
    )
    def test_the_configuration_against_the_vocabulary(self, folder: Path, value: object, words: str) -> None:
        write(folder, "tokenizer_config.json", value)
        assert words in told(folder, "tokenizer_config.json")

    def test_vocabulary_size_against_the_embedding(self, folder: Path) -> None:
        write(folder, "config.json", {"vocab_size": 6})
        assert told(folder, "config.json") == "vocab_size is 6, and the embedding has 5 rows"

    def test_without_weights_of_that_name_the_configuration_says(self, folder: Path) -> None:
        save_file({"w": np.ones(3, np.float32)}, folder / "model.safetensors")
        assert scan(folder) == []
        write(folder, "config.json", {"text_config": {"vocab_size": 4}})
        assert "embedding has 4 rows" in told(folder, "tokenizer.json")

    def test_the_older_vocabulary_file(self, folder: Path) -> None:
        (folder / "tokenizer.json").unlink()
        write(folder, "vocab.json", VOCABULARY)
        assert scan(folder) == []
        write(folder, "vocab.json", VOCABULARY | {"c": 3})
        assert "same id" in told(folder, "vocab.json")

    def test_a_key_twice(self, folder: Path) -> None:
        (folder / "tokenizer.json").write_text('{"model": {"vocab": {"a": 0, "a": 1}}}')
        assert "the key a comes twice" in told(folder, "tokenizer.json")

    @FUZZ
    @given(VALUES)
    def test_any_json_never_raises(self, folder: Path, value: object) -> None:
        write(folder, "tokenizer.json", {"model": {"vocab": value}, "added_tokens": value})
        write(folder, "tokenizer_config.json", {"added_tokens_decoder": value, "chat_template": value, "eos_token": value})
        write(folder, "generation_config.json", {"eos_token_id": value})
        write(folder, "config.json", value)
        scan(folder)


class TestAdapter:
    @pytest.fixture
    def adapter(self, tmp_path: Path) -> Path:
        adapter = tmp_path / "adapter"
        adapter.mkdir()
        write(adapter, "adapter_config.json", {"peft_type": "LORA", "base_model_name_or_path": "org/base"})
        save_file({"base_model.model.w.lora_A.weight": np.ones((2, 2), np.float32)}, adapter / "adapter_model.safetensors")
        return adapter

    def test_sound(self, adapter: Path) -> None:
        assert scan(adapter) == scan(adapter, base="org/base") == scan(adapter, base="org/base/") == []

    def test_by_folder(self, adapter: Path, folder: Path) -> None:
        write(adapter, "adapter_config.json", {"base_model_name_or_path": str(folder) + "/"})
        assert scan(adapter, base=folder) == []

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ({"base_model_name_or_path": "org/other"}, "is org/other, and org/base was given"),
            ({"base_model_name_or_path": None}, "names no base model"),
            ({"base_model_name_or_path": ""}, "names no base model"),
            ({"base_model_name_or_path": ["org/base"]}, "names no base model"),
            ({}, "names no base model"),
        ],
    )
    def test_of_another_base(self, adapter: Path, value: object, words: str) -> None:
        write(adapter, "adapter_config.json", value)
        assert any(words in finding.problem for finding in scan(adapter, base="org/base"))

    def test_a_recorded_digest_decides(self, adapter: Path, folder: Path) -> None:
        config = {"base_model_name_or_path": "elsewhere", "base_model_digest": "sha256:" + fingerprint_folder(folder)}
        write(adapter, "adapter_config.json", config)
        assert scan(adapter, base=folder) == []
        (folder / "config.json").write_text("{}")
        assert [finding.problem for finding in scan(adapter, base=folder)] == ["the adapter's base model has another digest than the given one"]

    def test_no_weights_or_a_pickle(self, adapter: Path) -> None:
        (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
        assert {finding.file for finding in scan(adapter)} == {"*.safetensors", "adapter_model.bin"}
