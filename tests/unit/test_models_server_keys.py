"""Which key leaves for which server, and which seeds it is asked with."""

from __future__ import annotations

from contextlib import closing

import pytest

from guardmed.errors import UsageError
from guardmed.models import Sampling
from guardmed.models.server import ServerModel
from tests.servers import Conduct, serving

MEANT = "sk-meant-for-openai"
OWN = "own-key"


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", MEANT)
    monkeypatch.delenv("GUARDMED_API_KEY", raising=False)


def key(url):
    with closing(ServerModel("tiny", url)) as model:
        return model._client.api_key


@pytest.mark.parametrize(
    "url",
    ["https://api.openai.com/v1", "HTTPS://host/v1", "http://localhost:8000/v1", "http://box.localhost/v1", "http://127.0.0.1/v1", "http://[::1]:80/v1",
     "http://10.1.2.3/v1", "http://192.168.0.9:1/v1", "http://172.16.0.1/v1", "http://[fd00::1]/v1", "http://[::ffff:10.0.0.1]/v1"],
)  # fmt: skip
def test_the_key_for_openai_goes_over_https_or_stays_near(url):
    assert key(url) == MEANT


@pytest.mark.parametrize(
    "url",
    ["http://api.openai.com/v1", "http://8.8.8.8/v1", "http://[2001:4860:4860::8888]/v1", "http://[::ffff:8.8.8.8]/v1", "http://localhost.evil.org/v1",
     "http://127.0.0.1.evil.org/v1", "http://2130706433/v1", "http://[::::]/v1"],
)  # fmt: skip
def test_the_key_for_openai_does_not_leave_over_an_open_line(url, monkeypatch):
    with pytest.raises(UsageError, match="OPENAI_API_KEY would go unencrypted") as caught:
        ServerModel("tiny", url)
    assert "GUARDMED_API_KEY" in caught.value.mend and MEANT not in str(caught.value)
    if "[::::]" not in url:
        monkeypatch.setenv("GUARDMED_API_KEY", OWN)
        assert key(url) == OWN
        monkeypatch.delenv("GUARDMED_API_KEY")
        monkeypatch.delenv("OPENAI_API_KEY")
        assert key(url) == "none"


def test_guardmeds_own_key_is_the_one_used(monkeypatch):
    monkeypatch.setenv("GUARDMED_API_KEY", f" {OWN} ")
    with serving(lambda messages, body: {"text": "ok"}, conduct := Conduct()) as url, closing(ServerModel("tiny", url)) as model:
        model.generate(["Hello"], Sampling())
    assert conduct.keys == {f"Bearer {OWN}"}
    monkeypatch.setenv("GUARDMED_API_KEY", OWN + "é")
    with pytest.raises(UsageError, match="GUARDMED_API_KEY holds") as caught:
        key("https://host/v1")
    assert OWN not in str(caught.value)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_repeats_have_no_seed_in_common(n):
    conduct = Conduct(honours_n=False, logprobs=False)
    with serving(lambda messages, body: {"text": "ok"}, conduct) as url, closing(ServerModel("tiny", url)) as model:
        for seed in range(4):
            model.generate(["Hello"], Sampling(n=n, temperature=1.0, seed=seed))
    assert [body["seed"] for body in conduct.bodies if "seed" in body] == list(range(4 * n))
