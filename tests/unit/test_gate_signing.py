from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardmed.errors import DataError, ExecutionError, GuardMedError, UsageError
from guardmed.files import digest_file
from guardmed.gate.signing import PASSWORD_VARIABLE, sign, verify

PASSWORD = "correct horse 电池"


@pytest.mark.parametrize("act", [sign, verify])
def test_it_says_how_to_get_what_is_missing(monkeypatch, act):
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(UsageError, match=r"model_signing is not installed .*pip install guardmed\[signing\]") as raised:
        act([Path("report.json")], Path("a"), Path("b"))
    assert raised.value.exit_code == 2


@pytest.fixture(scope="module")
def library():
    return pytest.importorskip("model_signing", reason="the optional package model-signing is not installed: pip install guardmed[signing]")


@pytest.fixture(scope="module")
def make(library, tmp_path_factory):
    """Write a pair of keys; gives the paths of the private and the public one."""
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    def write(kind: str = "SECP256R1", password: str | None = None, form: str = "PKCS8") -> tuple[Path, Path]:
        if kind == "rsa":
            key = rsa.generate_private_key(65537, 2048)
        else:
            key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(getattr(ec, kind)())
        folder = tmp_path_factory.mktemp("keys")
        lock = pem.NoEncryption() if password is None else pem.BestAvailableEncryption(password.encode())
        (folder / "key").write_bytes(key.private_bytes(pem.Encoding.PEM, getattr(pem.PrivateFormat, form), lock))
        (folder / "key.pub").write_bytes(key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo))
        return folder / "key", folder / "key.pub"

    return write


@pytest.fixture(scope="module")
def keys(make):
    return make()


@pytest.fixture(scope="module")
def locked(make):
    return make(password=PASSWORD)


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "evidence"
    (place / "more").mkdir(parents=True)
    (place / "report.json").write_text('{"verdict": "pass"}\n')
    (place / "statement.json").write_text('{"subject": "模型"}\n', encoding="utf-8")
    (place / "more" / "项目.jsonl").write_text('{"id": "1"}\n')
    (place / "report.html").write_text("<p>Pass</p>")
    return place


@pytest.fixture
def files(folder):
    return [folder / "report.json", folder / "statement.json", folder / "more" / "项目.jsonl"]


@pytest.fixture
def signature(folder, files, keys):
    path = folder / "evidence.sig"
    sign(files, keys[0], path)
    return path


def payload(signature: Path) -> dict:
    return json.loads(base64.b64decode(json.loads(signature.read_text())["dsseEnvelope"]["payload"]))


def told(act, *args, **options) -> str:
    with pytest.raises(DataError) as raised:
        act(*args, **options)
    return str(raised.value)


class TestWhatIsSigned:
    @pytest.mark.parametrize("curve", ["SECP256R1", "SECP384R1", "SECP521R1"])
    @pytest.mark.parametrize("form", ["PKCS8", "TraditionalOpenSSL"])
    def test_what_was_signed_is_verified(self, make, folder, files, curve, form):
        private, public = make(curve, form=form)
        sign(files, private, folder / "evidence.sig")
        verify(files, folder / "evidence.sig", public)

    def test_the_named_files_and_no_others(self, signature, files):
        signed = payload(signature)["predicate"]
        assert {one["name"]: one["digest"] for one in signed["resources"]} == {
            "report.json": digest_file(files[0]),
            "statement.json": digest_file(files[1]),
            "more/项目.jsonl": digest_file(files[2]),
        }
        assert signed["serialization"] == {"method": "files", "hash_type": "sha256", "allow_symlinks": False}

    def test_other_files_may_come_change_and_go(self, folder, files, signature, keys):
        (folder / "report.html").write_text("other")
        (folder / "more" / "new.json").write_text("{}")
        verify(files, signature, keys[1])
        (folder / "report.html").unlink()
        verify(files, signature, keys[1])

    @pytest.mark.parametrize("name", [".gitignore", ".gitattributes", ".github/workflow.yaml", ".git/config"])
    def test_a_named_file_is_never_left_out(self, folder, keys, name):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("a")
        sign([folder / "report.json", folder / name], keys[0], folder / "evidence.sig")
        (folder / name).write_text("b")
        assert f"{name} was changed" in told(verify, [folder / "report.json", folder / name], folder / "evidence.sig", keys[1])

    def test_one_file_an_empty_file_and_a_file_named_twice(self, folder, keys):
        (folder / "empty").touch()
        sign([folder / "empty", folder / "empty"], keys[0], folder / "evidence.sig")
        verify([folder / "empty"], folder / "evidence.sig", keys[1])

    def test_order_and_spelling_of_the_paths_are_nothing(self, folder, files, signature, keys, monkeypatch):
        verify(files[::-1], signature, keys[1])
        monkeypatch.chdir(folder / "more")
        verify([Path("../report.json"), Path("../statement.json"), Path("../more/项目.jsonl")], Path("../evidence.sig"), keys[1])
        monkeypatch.chdir(folder)
        verify([Path("report.json"), Path("statement.json"), Path("./more/项目.jsonl")], Path("evidence.sig"), keys[1])

    def test_the_folder_may_be_renamed_and_the_signature_kept_elsewhere(self, folder, files, signature, keys, tmp_path):
        elsewhere = signature.rename(tmp_path / "other.sig")
        moved = folder.rename(tmp_path / "run 12")
        verify([moved / file.relative_to(folder) for file in files], elsewhere, keys[1])

    def test_signing_again_replaces_the_signature(self, folder, files, signature, keys):
        files[0].write_text("new")
        sign(files, keys[0], signature)
        verify(files, signature, keys[1])
        assert {entry.name for entry in folder.iterdir()} == {"evidence.sig", "more", "report.html", "report.json", "statement.json"}


class TestWhatHasChanged:
    @pytest.mark.parametrize("which", [0, 1, 2])
    def test_one_byte(self, files, signature, keys, which):
        whole = files[which].read_bytes()
        others = [whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :] for place in range(len(whole))]
        for other in (*others, whole + b"\n", whole[:-1], b"\n" + whole, b""):
            files[which].write_bytes(other)
            message = told(verify, files, signature, keys[1])
            assert f": {'more/' if which == 2 else ''}{files[which].name} was changed." in message
        files[which].write_bytes(whole)
        verify(files, signature, keys[1])

    def test_all_that_is_wrong_is_told_at_once(self, folder, files, signature, keys):
        files[0].write_text("other")
        files[1].unlink()
        (folder / "extra.json").write_text("{}")
        message = told(verify, [*files, folder / "extra.json"], signature, keys[1])
        assert "not what was signed: extra.json was not signed, report.json was changed, statement.json is missing." in message
        assert "run the gate again" in message

    def test_all_files_missing(self, files, signature, keys):
        for file in files:
            file.unlink()
        assert told(verify, files, signature, keys[1]).count("is missing") == 3

    def test_a_file_that_was_never_there(self, folder, files, signature, keys):
        assert "ghost.json was not signed" in told(verify, [*files, folder / "ghost.json"], signature, keys[1])

    def test_a_signed_file_that_is_not_named(self, files, signature, keys):
        assert "statement.json was signed, but is not among the files named" in told(verify, [files[0], files[2]], signature, keys[1])

    def test_two_files_that_trade_names(self, folder, files, signature, keys):
        files[0].rename(folder / "x")
        files[1].rename(files[0])
        (folder / "x").rename(files[1])
        assert "report.json was changed, statement.json was changed" in told(verify, files, signature, keys[1])

    def test_a_folder_in_the_place_of_a_file(self, files, signature, keys):
        files[0].unlink()
        files[0].mkdir()
        assert "report.json is missing" in told(verify, files, signature, keys[1])

    @pytest.mark.parametrize("name", ["it's.json", 'a "b".json', 'it\'s "b".json', "a\\b.json", "a\nb.json"])
    def test_odd_names(self, folder, keys, name):
        (folder / name).write_text("a")
        sign([folder / name], keys[0], folder / "evidence.sig")
        verify([folder / name], folder / "evidence.sig", keys[1])
        (folder / name).write_text("b")
        message = told(verify, [folder / name], folder / "evidence.sig", keys[1])
        assert "was changed" in message
        assert "\n" not in message

    def test_a_digest_of_another_kind(self, files, signature, keys):
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives import serialization as pem
        from cryptography.hazmat.primitives.asymmetric import ec

        statement = payload(signature)
        statement["predicate"]["resources"][0]["algorithm"] = "sha3-256"
        body = json.dumps(statement).encode()
        private = pem.load_pem_private_key(keys[0].read_bytes(), None)
        made = private.sign(b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(body), body), ec.ECDSA(hashes.SHA256()))
        bundle = json.loads(signature.read_text())
        bundle["dsseEnvelope"] |= {"payload": base64.b64encode(body).decode(), "signatures": [{"sig": base64.b64encode(made).decode()}]}
        signature.write_text(json.dumps(bundle))
        assert "not what was signed: one was changed." in told(verify, files, signature, keys[1])

    def test_what_a_signature_asks_to_ignore_is_looked_at(self, library, folder, files, keys):
        hashing = library.hashing.Config().set_ignored_paths(paths=["statement.json", "report.html"])
        library.signing.Config().use_elliptic_key_signer(private_key=keys[0]).set_hashing_config(hashing).sign(folder, folder.parent / "x.sig")
        assert "statement.json was not signed" in told(verify, files, folder.parent / "x.sig", keys[1])


class TestLinks:
    def test_a_link_is_not_signed(self, folder, files, keys):
        (folder / "link.json").symlink_to(files[0])
        assert "link.json is a link" in told(sign, [*files, folder / "link.json"], keys[0], folder / "evidence.sig")
        assert not (folder / "evidence.sig").exists()

    def test_a_link_to_the_very_content_is_not_verified(self, folder, files, signature, keys):
        files[0].rename(folder.parent / "elsewhere.json")
        files[0].symlink_to(folder.parent / "elsewhere.json")
        assert "report.json is a link" in told(verify, files, signature, keys[1])

    def test_a_folder_that_is_a_link(self, folder, files, signature, keys):
        (folder / "more").rename(folder.parent / "elsewhere")
        (folder / "more").symlink_to(folder.parent / "elsewhere")
        assert "more is a link" in told(verify, files, signature, keys[1])
        assert "more is a link" in told(sign, files, keys[0], signature)

    def test_a_link_that_leads_nowhere(self, folder, files, keys):
        (folder / "link.json").symlink_to(folder / "none")
        assert "link.json is a link" in told(sign, [*files, folder / "link.json"], keys[0], folder / "evidence.sig")

    def test_links_in_a_circle(self, folder, files, keys):
        (folder / "link.json").symlink_to(folder / "link.json")
        assert "link.json is a link" in told(sign, [*files, folder / "link.json"], keys[0], folder / "evidence.sig")
        assert "can't be read" in told(verify, files, folder / "link.json", keys[1])

    def test_a_signature_that_allows_links_changes_nothing(self, library, folder, keys):
        hashing = library.hashing.Config().use_file_serialization(allow_symlinks=True)
        library.signing.Config().use_elliptic_key_signer(private_key=keys[0]).set_hashing_config(hashing).sign(folder / "more", folder / "x.sig")
        verify([folder / "more" / "项目.jsonl"], folder / "x.sig", keys[1])
        (folder / "more" / "项目.jsonl").rename(folder / "a")
        (folder / "more" / "项目.jsonl").symlink_to(folder / "a")
        assert "is a link" in told(verify, [folder / "more" / "项目.jsonl"], folder / "x.sig", keys[1])


class TestWhoSigned:
    def test_another_key(self, files, signature, make):
        assert "was made with another key than" in told(verify, files, signature, make()[1])

    def test_another_curve(self, files, signature, make):
        assert "was made with another key than" in told(verify, files, signature, make("SECP384R1")[1])

    def test_signed_again_by_a_stranger(self, files, signature, keys, make):
        files[0].write_text("other")
        sign(files, make()[0], signature)
        assert "was made with another key than" in told(verify, files, signature, keys[1])

    def test_a_stranger_who_names_the_right_key(self, files, signature, keys, make):
        right = json.loads(signature.read_text())["verificationMaterial"]
        sign(files, make()[0], signature)
        signature.write_text(json.dumps(json.loads(signature.read_text()) | {"verificationMaterial": right}))
        assert "is broken: it does not fit what it says was signed" in told(verify, files, signature, keys[1])

    def test_what_was_signed_is_rewritten(self, files, signature, keys):
        files[0].write_text("other")
        bundle = json.loads(signature.read_text())
        statement = payload(signature)
        statement["predicate"]["resources"][1]["digest"] = digest_file(files[0])
        bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
        signature.write_text(json.dumps(bundle))
        assert "is broken: it does not fit what it says was signed" in told(verify, files, signature, keys[1])


BROKEN = {
    "nothing": b"",
    "not JSON": b"{",
    "not UTF-8": b'"\xff"',
    "a list": b"[]",
    "a number": b"1",
    "no bundle": b"{}",
    "deep": b"[" * 100_000,
    "a long number": b"1" * 5_000,
    "no key": b'{"verificationMaterial": {"publicKey": {}}}',
    "no envelope": b'{"verificationMaterial": {"publicKey": {"hint": "a"}}}',
    "a hint that is none": b'{"verificationMaterial": {"publicKey": {"hint": 1}}}',
}


PIECES = st.binary(max_size=4) | st.sampled_from([b'"', b"}", b"null", b"[]", b"0"])


class TestBrokenSignatures:
    @pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
    def test_the_file_is_named(self, files, signature, keys, content):
        signature.write_bytes(content)
        assert str(signature) in told(verify, files, signature, keys[1])

    @pytest.mark.parametrize(
        "change",
        [
            lambda bundle: bundle["dsseEnvelope"].update(signatures=[]),
            lambda bundle: bundle["dsseEnvelope"].update(payload="!"),
            lambda bundle: bundle["dsseEnvelope"].pop("payload"),
            lambda bundle: bundle.pop("dsseEnvelope"),
            lambda bundle: bundle.update(mediaType="text/plain"),
            lambda bundle: bundle.update(more=1),
        ],
    )
    def test_a_part_is_missing_or_odd(self, files, signature, keys, change):
        bundle = json.loads(signature.read_text())
        change(bundle)
        signature.write_text(json.dumps(bundle))
        assert f"{signature} is broken: it " in told(verify, files, signature, keys[1])

    def test_without_its_key_s_name_it_is_refused_in_silence(self, files, signature, keys, capfd):
        bundle = json.loads(signature.read_text())
        del bundle["verificationMaterial"]["publicKey"]["hint"]
        signature.write_text(json.dumps(bundle))
        assert "is broken" in told(verify, files, signature, keys[1])
        assert capfd.readouterr() == ("", "")

    def test_missing_or_a_folder(self, folder, files, keys):
        assert "none.sig does not exist" in told(verify, files, folder / "none.sig", keys[1])
        assert "is a folder" in told(verify, files, folder, keys[1])
        assert "can't be read" in told(verify, files, folder / "report.html" / "x.sig", keys[1])

    # A place is drawn from more than there are: the length of a signature varies by a few bytes.
    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(changes=st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 4), PIECES), max_size=3))
    def test_no_change_to_the_signature_makes_changed_files_pass(self, files, signature, keys, changes):
        whole = signature.with_name("whole")
        if not whole.exists():
            shutil.copy(signature, whole)
            files[0].write_text("other")
        content = bytearray(whole.read_bytes())
        for place, length, piece in changes:
            place %= len(content)
            content[place : place + length] = piece
        signature.write_bytes(content)
        with pytest.raises(DataError):
            verify(files, signature, keys[1])


class TestKeys:
    @pytest.mark.parametrize("form", ["PKCS8", "TraditionalOpenSSL"])
    def test_an_encrypted_key_opens_with_its_password(self, make, folder, files, form):
        private, public = make(password=PASSWORD, form=form)
        sign(files, private, folder / "evidence.sig", password=PASSWORD)
        verify(files, folder / "evidence.sig", public)

    @pytest.mark.parametrize("password", [None, ""])
    def test_an_encrypted_key_needs_one(self, locked, folder, files, password):
        with pytest.raises(UsageError, match=f"is encrypted. Set {PASSWORD_VARIABLE}"):
            sign(files, locked[0], folder / "evidence.sig", password=password)

    def test_a_password_too_many(self, keys, folder, files):
        with pytest.raises(UsageError, match=f"{PASSWORD_VARIABLE} is set, but the key .* is not encrypted") as raised:
            sign(files, keys[0], folder / "evidence.sig", password="hush-hush")
        assert "hush" not in str(raised.value)
        sign(files, keys[0], folder / "evidence.sig", password="")

    @pytest.mark.parametrize("password", ["hush-hush", "hush\udcff", "hush\ud800", "hush" * 1000], ids=["wrong", "bytes", "half a character", "long"])
    def test_a_wrong_password_is_shown_nowhere(self, locked, folder, files, password, capfd, caplog):
        caplog.set_level(0)
        with pytest.raises(DataError, match="does not open with the password") as raised:
            sign(files, locked[0], folder / "evidence.sig", password=password)
        shown = "".join(traceback.format_exception(raised.value)) + str(raised.value.__context__) + repr(raised.value.__dict__)
        assert "hush" not in shown + caplog.text + "".join(capfd.readouterr())
        assert not (folder / "evidence.sig").exists()

    def test_the_right_password_is_shown_nowhere(self, locked, folder, files, capfd, caplog):
        caplog.set_level(0)
        sign(files, locked[0], folder / "evidence.sig", password=PASSWORD)
        verify(files, folder / "evidence.sig", locked[1])
        assert caplog.text == ""
        assert capfd.readouterr() == ("", "")
        assert PASSWORD not in json.dumps(payload(folder / "evidence.sig"), ensure_ascii=False)

    @pytest.mark.parametrize("kind", ["rsa", "ed25519", "SECP256K1"])
    def test_a_key_of_another_kind(self, make, folder, files, signature, kind):
        private, public = make(kind)
        assert "is not a key on the curve P-256, P-384 or P-521. Make one: openssl" in told(sign, files, private, folder / "new.sig")
        assert "is not a key on the curve" in told(verify, files, signature, public)

    def test_the_wrong_half(self, keys, folder, files, signature):
        assert "key.pub is not a private key in PEM" in told(sign, files, keys[1], folder / "new.sig")
        assert "is not a public key but a private one. Write its public half" in told(verify, files, signature, keys[0])

    @pytest.mark.parametrize("content", [b"", b"secret", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
    def test_no_key_at_all(self, tmp_path, files, signature, content):
        (tmp_path / "key").write_bytes(content)
        assert "is not a private key in PEM" in told(sign, files, tmp_path / "key", tmp_path / "new.sig")
        assert "is not a public key" in told(verify, files, signature, tmp_path / "key")

    def test_a_damaged_encrypted_key(self, locked, tmp_path, files):
        (tmp_path / "key").write_bytes(locked[0].read_bytes().replace(b"M", b"N"))
        assert "does not open with the password" in told(sign, files, tmp_path / "key", tmp_path / "new.sig", password=PASSWORD)

    def test_the_password_s_bytes_are_those_of_the_variable(self, library, locked, folder, files):
        from cryptography.hazmat.primitives import serialization as pem

        private = pem.load_pem_private_key(locked[0].read_bytes(), PASSWORD.encode())
        lock = pem.BestAvailableEncryption(b"caf\xe9")
        (folder / "key").write_bytes(private.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, lock))
        sign(files, folder / "key", folder / "evidence.sig", password=os.fsdecode(b"caf\xe9"))
        verify(files, folder / "evidence.sig", locked[1])

    def test_missing_or_a_folder(self, tmp_path, files, signature):
        assert "key none does not exist" in told(sign, files, Path("none"), tmp_path / "new.sig")
        assert "can't be read" in told(verify, files, signature, tmp_path)


class TestRefusals:
    @pytest.mark.parametrize("act", [sign, verify])
    def test_no_files(self, library, act):
        with pytest.raises(UsageError, match="No files are named"):
            act([], Path("a"), Path("b"))

    def test_the_signature_never_replaces_the_key_or_a_signed_file(self, keys, folder, files):
        kept = keys[0].read_bytes()
        with pytest.raises(UsageError, match="both as the key and as the signature"):
            sign(files, keys[0], keys[0])
        (folder / "link.sig").symlink_to(files[0])
        for place in (files[0], folder / "link.sig"):
            with pytest.raises(UsageError, match="the key or the signature"):
                sign(files, keys[0], place)
        assert keys[0].read_bytes() == kept
        assert files[0].read_text() == '{"verdict": "pass"}\n'

    def test_missing_files_and_folders_are_not_signed(self, keys, folder, files):
        assert "none.json does not exist" in told(sign, [*files, folder / "none.json"], keys[0], folder / "new.sig")
        assert "more is not a file" in told(sign, [files[0], folder / "more"], keys[0], folder / "new.sig")

    def test_a_pipe_is_not_waited_for(self, keys, folder, files):
        os.mkfifo(folder / "pipe")
        assert "pipe is not a file" in told(sign, [*files, folder / "pipe"], keys[0], folder / "new.sig")

    def test_paths_that_leave_the_folder(self, keys, folder, files):
        with pytest.raises(UsageError, match="in the same way"):
            sign([files[0], folder / "more" / ".." / "statement.json"], keys[0], folder / "new.sig")

    def test_a_name_too_long(self, keys, folder, files):
        assert "can't be read: File name too long" in told(sign, [*files, folder / ("a" * 300)], keys[0], folder / "new.sig")

    def test_a_name_that_is_not_utf8(self, keys, folder, files):
        odd = folder / os.fsdecode(b"a\xff.json")
        assert "is not UTF-8" in told(sign, [*files, odd], keys[0], folder / "new.sig")

    def test_a_failure_leaves_the_old_signature_and_nothing_else(self, locked, folder, files, signature):
        old = signature.read_bytes()
        with pytest.raises(GuardMedError):
            sign(files, locked[0], signature)
        assert signature.read_bytes() == old
        assert not list(folder.glob(".*"))

    def test_a_place_that_cannot_be_written(self, keys, folder, files):
        with pytest.raises(ExecutionError, match="can't be written"):
            sign(files, keys[0], folder / "report.html" / "new.sig")


# A fresh interpreter, because an import might go out too. Audit events can't be swallowed, as exceptions can. While it
# is imported, urllib3 binds a socket to ::1, to see whether there is IPv6, so sockets are forbidden from then on only.
OFFLINE = """
import logging, socket, sys
from pathlib import Path

went = []
OUT = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
sys.addaudithook(lambda event, args: went.append(event) if event in OUT or armed and event.startswith("socket.") else None)
armed = False
logging.basicConfig(level=0)
import model_signing
from guardmed.gate.signing import sign, verify

def blocked(*args, **options):
    went.append("socket.socket")
    raise RuntimeError("a socket was made")

socket.socket = blocked
armed = True
folder, private, public = map(Path, sys.argv[1:])
files = [folder / "report.json", folder / "statement.json"]
sign(files, private, folder / "offline.sig")
verify(files, folder / "offline.sig", public)
assert not went, went
socket.gethostname()
assert went == ["socket.gethostname"]  # the hook does listen
"""


@pytest.mark.usefixtures("library")
class TestNothingGoesOut:
    def test_a_fresh_import_signs_and_verifies_without_sockets_and_in_silence(self, folder, keys):
        done = subprocess.run([sys.executable, "-c", OFFLINE, folder, *keys], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_guardmed_does_not_import_it_before_it_is_needed(self):
        code = "import sys, guardmed.gate.signing; print({'model_signing', 'cryptography', 'sigstore'} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
        assert done.stdout == "set()\n"


class TestOtherReaders:
    def test_the_library_itself_verifies_it(self, library, folder, signature, keys):
        config = library.verifying.Config().use_elliptic_key_verifier(public_key=keys[1]).set_ignore_unsigned_files(True)
        config.verify(folder, signature)
        (folder / "report.json").write_text("other")
        with pytest.raises(ValueError, match="Signature mismatch"):
            config.verify(folder, signature)

    def test_what_the_library_signed_is_verified(self, library, folder, files, keys, tmp_path):
        (folder / "report.html").unlink()
        library.signing.Config().use_elliptic_key_signer(private_key=keys[0]).sign(folder, tmp_path / "x.sig")
        verify(files, tmp_path / "x.sig", keys[1])

    def test_openssl_makes_the_keys(self, library, folder, files, tmp_path):
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", tmp_path / "key"], check=True, capture_output=True)
        subprocess.run(["openssl", "ec", "-in", tmp_path / "key", "-pubout", "-out", tmp_path / "key.pub"], check=True, capture_output=True)
        sign(files, tmp_path / "key", folder / "evidence.sig")
        verify(files, folder / "evidence.sig", tmp_path / "key.pub")
