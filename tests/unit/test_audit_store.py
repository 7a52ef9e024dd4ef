"""The journal of answers: what a kill, a full disk or a second run may do to it, and an audit that is killed again and again."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guardmed.audit import Definition, Interview, Selection
from guardmed.audit.run import model_store, repeats_of
from guardmed.audit.store import AnswerStore, answer_store
from guardmed.audit.variants import variants
from guardmed.errors import ExecutionError
from tests.unit.small_audit import Answering, plain_definition

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    store = AnswerStore(path)
    store.add({"a": {"shares": [0.1, 0.9]}, "b": {"answer": "是的\n“好”"}})
    store.add({"c": 3})
    return path


def kept(path: Path) -> dict[str, object]:
    store = AnswerStore(path)
    return {key: store[key] for key in "abcd" if key in store}


class TestJournal:
    def test_what_was_added_is_found_again(self, journal):
        assert kept(journal) == {"a": {"shares": [0.1, 0.9]}, "b": {"answer": "是的\n“好”"}, "c": 3}

    def test_numbers_come_back_to_the_last_bit(self, tmp_path):
        values = [random.Random(0).random() for _ in range(200)] + [5e-324, 1 / 3]
        AnswerStore(tmp_path / "j").add({"a": values})
        assert AnswerStore(tmp_path / "j")["a"] == values

    def test_without_a_path_nothing_is_written(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        store = AnswerStore()
        store.add({"a": 1})
        assert store["a"] == 1
        assert list(tmp_path.iterdir()) == []

    def test_cut_anywhere_all_whole_batches_stay_and_it_can_be_added_to(self, journal):
        data = journal.read_bytes()
        ends = [place + 1 for place, byte in enumerate(data) if byte == ord("\n")]
        for cut in range(len(data) + 1):
            journal.write_bytes(data[:cut])
            whole = ("", "", "ab", "abc")[sum(end <= cut for end in ends)]
            assert "".join(kept(journal)) == whole
            AnswerStore(journal).add({"d": 4})
            assert "".join(kept(journal)) == whole + "d"
            assert all(json.loads(line) for line in journal.read_bytes().splitlines())

    @pytest.mark.parametrize("damage", [b"{oops", b"", b"\xff\xfe", b"[]", b"3", b'"a"', b"null", b'{"key": "a"}', b'{"value": 1}', b'{"key": [], "value": 1}'])
    def test_a_batch_with_a_damaged_line_is_left_out_and_the_rest_stays(self, journal, damage):
        lines = journal.read_bytes().split(b"\n")
        journal.write_bytes(b"\n".join([damage, *lines[1:]]))
        assert list(kept(journal)) == ["c"]

    def test_characters_that_end_lines_elsewhere_are_part_of_a_line(self, tmp_path):
        text = "a\u2028b\u0085c\x0bd\x0ce\x1cf\rg"
        AnswerStore(tmp_path / "j").add({"a": text, "b": 1})
        assert [AnswerStore(tmp_path / "j")[key] for key in "ab"] == [text, 1]

    def test_a_later_line_counts(self, journal):
        AnswerStore(journal).add({"a": "new"})
        assert AnswerStore(journal)["a"] == "new"

    def test_it_is_on_disk_before_it_counts(self, tmp_path, monkeypatch):
        path, seen = tmp_path / "j", []
        store = AnswerStore(path)
        monkeypatch.setattr("os.fsync", lambda _: seen.append(("a" in store, path.read_bytes())))
        store.add({"a": 1})
        assert seen == [(False, b'{"key": "a", "value": 1, "n": 1, "of": 1, "sum": "135f17a475a61afd"}\n')]
        assert "a" in store

    def test_a_full_disk_says_so_and_keeps_what_was_there(self, journal, monkeypatch):
        store = AnswerStore(journal)

        def full(_descriptor):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(ExecutionError, match=r"No space left.*Free some space; what is in it already is safe"):
            store.add({"d": 4})
        assert "d" not in store
        assert list(kept(journal))[:3] == ["a", "b", "c"]

    def test_a_folder_that_is_a_file(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(ExecutionError, match="can't be written"):
            AnswerStore(tmp_path / "file" / "j").add({"a": 1})


class TestLock:
    def test_a_second_run_of_the_same_model_is_turned_away(self, tmp_path):
        code = f"from guardmed.audit.store import answer_store\nfrom pathlib import Path\nwith answer_store(Path({str(tmp_path)!r}), 'm'): pass"
        with answer_store(tmp_path, "m"):
            other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
            assert other.returncode != 0
            assert "Another run is asking this very model" in other.stderr
            with answer_store(tmp_path, "another"):
                pass
        with answer_store(tmp_path, "m") as store:
            assert isinstance(store, AnswerStore)

    def test_it_is_let_go_when_a_run_fails(self, tmp_path):
        with pytest.raises(RuntimeError), answer_store(tmp_path, "m"):
            raise RuntimeError
        with answer_store(tmp_path, "m"):
            pass

    def test_models_have_journals_of_their_own(self, tmp_path):
        for fingerprint in ("sha256:" + "a" * 64, "sha256:" + "b" * 64):
            with model_store(Interview(Answering(fingerprint=fingerprint)), tmp_path) as store:
                assert "x" not in store
                store.add({"x": 1})
        assert {path.name for path in tmp_path.glob("*.jsonl")} == {"a" * 24 + ".jsonl", "b" * 24 + ".jsonl"}


class TestKilled:
    @pytest.fixture
    def served(self):
        """Starts an audit in a process of its own in a folder; gives its id and a wait for its end."""
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "tests.unit.small_audit"]
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:

            def start(folder: Path, wait: float = 0.05):
                folder.mkdir(exist_ok=True)
                server.stdin.write(json.dumps([str(folder), wait]) + "\n")
                server.stdin.flush()
                told = {server.stdout.readline().strip(), server.stdout.readline().strip()}
                (process,) = (int(line) for line in told - {"ready"})

                def ended() -> int:
                    server.stdin.write("\n")
                    server.stdin.flush()
                    return int(server.stdout.readline().split()[1])

                return process, ended

            yield start
            server.stdin.close()

    def calls(self, known: set[str]) -> list[list[str]]:
        """What an undisturbed run asks the model, given what the journal holds."""
        definition, interview = Definition.model_validate(plain_definition(11)), Interview(Answering())
        asked = []
        for batch in interview.plan(variants(definition), repeats=repeats_of(definition, Selection())):
            if not all(one.key in known for one in batch):
                method = "generate" if batch[0].variant.kind == "open" else "choose"
                asked.append([method, *(one.variant.prompt(order) for one in batch for order in one.variant.orders or [()])])
        return asked

    def logged(self, folder: Path) -> list[list[str]]:
        path = folder / "calls.log"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith(b"]")]  # a kill may cut this log short as well

    def known(self, folder: Path) -> set[str]:
        found = list((folder / "journal").glob("*.jsonl"))
        lines = found[0].read_bytes().split(b"\n")[:-1] if found else []
        store = AnswerStore(found[0]) if found else AnswerStore()  # of a batch that was cut short nothing is known
        return {key for line in lines if (key := json.loads(line)["key"]) in store}

    def test_killed_ten_times_it_ends_as_if_undisturbed_and_asks_nothing_again(self, served, tmp_path):
        calm, killed = tmp_path / "calm", tmp_path / "killed"
        _, ended = served(calm)
        began = time.monotonic()
        assert ended() == 0
        whole = time.monotonic() - began
        every = self.calls(set())
        assert self.logged(calm) == every
        assert len(every) > 10

        moments, asked = random.Random(8), []
        for kill in range(10):
            known, before = self.known(killed), len(self.logged(killed))
            process, ended = served(killed)
            if kill < 7:  # while it asks, or just after
                questions = min(moments.randint(1, 2), len(self.calls(known)))
                while len(self.logged(killed)) - before < questions:
                    time.sleep(0.001)
                time.sleep(moments.uniform(0, 0.05))
            else:  # anywhere, so also while it reckons and writes; one that has ended already is killed in vain
                time.sleep(moments.uniform(0, whole))
            os.kill(process, signal.SIGKILL)
            ended()
            now = self.logged(killed)[before:]
            assert now == self.calls(known)[: len(now)]
            asked.append(len(now))
        known, before = self.known(killed), len(self.logged(killed))
        _, ended = served(killed)
        assert ended() == 0
        assert self.logged(killed)[before:] == self.calls(known)
        assert sum(map(bool, asked)) >= 3
        for name in ("report.json", "records.jsonl", "report.html", "report.md"):
            assert (killed / "out" / name).read_bytes() == (calm / "out" / name).read_bytes(), name
