"""Signatures over the files of a gate's evidence: who vouches for them, and that nobody has changed them since.

The signature is a Sigstore bundle around an in-toto statement that lists the SHA-256 of each file, made
with an elliptic-curve key by the package ``model-signing`` (github.com/sigstore/model-transparency,
version 1.1.1). Nothing goes over the network. Its own command line reads these signatures too:
``model_signing verify key FOLDER --signature SIGNATURE --public_key KEY --ignore_unsigned_files``.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardmed.errors import DataError, UsageError
from guardmed.files import atomic_write, read_json
from guardmed.gate.scan.files import shown

PASSWORD_VARIABLE = "GUARDMED_KEY_PASSWORD"

_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})  # those that model-signing takes
_MAKE = "Make one: openssl ecparam -name prime256v1 -genkey -noout -out KEY, then openssl ec -in KEY -pubout -out KEY.pub."
_AGAIN = "Don't rely on it: get it again from where it was made, or run the gate again and sign what it writes."
# What model-signing raises on a signature file that says something other than it expects.
_MALFORMED = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)


def sign(files: Sequence[Path], key: Path, signature: Path, *, password: str | None = None) -> None:
    """Sign these files and no others; the signature is whole or not there.

    Parameters
    ----------
    files : sequence of Path
        Their names are signed relative to the innermost folder that holds them all, so that the
        folder may be moved or renamed. Links are not followed.
    key : Path
        A private elliptic-curve key (P-256, P-384 or P-521) in PEM.
    signature : Path
        Where to write the signature.
    password : str, optional
        Of an encrypted key, from the variable ``GUARDMED_KEY_PASSWORD``; an empty one is none.

    Raises
    ------
    UsageError
        ``model-signing`` is not installed; no file is named; a password is missing or superfluous.
    DataError
        A file or the key can't be used.
    ExecutionError
        The signature can't be written.
    """
    library = _library()
    folder, named = _named(files, apart=(key, signature))
    for path in named.values():
        if not _is_file(path):
            raise DataError(f"{path} is not a file." if path.exists() else f"{path} does not exist.", mend="Sign the files that the gate wrote.")
    secret = _password(key, password or None)
    hashed = _Hashed(folder, _hash(library, folder, list(named.values())))
    config = library.signing.Config().use_elliptic_key_signer(private_key=key, password=secret).set_hashing_config(hashed)
    with atomic_write(signature) as file:
        config.sign(folder, file.name)


def verify(files: Sequence[Path], signature: Path, key: Path) -> None:
    """See that exactly these files were signed with the private half of a key, and that none has changed.

    Parameters
    ----------
    files : sequence of Path
        All that were signed, and no others. Links are not followed.
    signature : Path
    key : Path
        The public key in PEM.

    Raises
    ------
    UsageError
        ``model-signing`` is not installed; no file is named.
    DataError
        A file was changed, is missing or was not signed; the signature is broken or by another key;
        the key or the signature can't be read.
    """
    library = _library()
    folder, named = _named(files, apart=(key, signature))
    _check_public(key)
    bundle = _read_bundle(signature)
    present = {name: path for name, path in named.items() if _is_file(path)}
    hashed = _Hashed(folder, _hash(library, folder, list(present.values())))
    config = library.verifying.Config().use_elliptic_key_verifier(public_key=key).set_hashing_config(hashed).set_ignore_unsigned_files(True)
    crypto = importlib.import_module("cryptography.exceptions")
    fits = True
    try:
        config.verify(folder, signature)
    except crypto.InvalidSignature:
        raise DataError(f"The signature {signature} is broken: it does not fit what it says was signed.", mend=_AGAIN) from None
    except _MALFORMED as error:
        fits = False
        if hashed.signed is None:
            raise _broken(signature, key, str(error)) from None
    reasons = _reasons(hashed, named, present, _digests(bundle))
    if reasons or not fits:
        raise DataError(f"The files in {folder} are not what was signed: {', '.join(reasons) or 'one was changed'}.", mend=_AGAIN)


@dataclass(eq=False)
class _Hashed:
    """Files already hashed, in the place of model-signing's ``hashing.Config``.

    That class hashes whatever lies in the folder when it signs. This one gives the hashes of the
    named files, and keeps which files a signature names: model-signing asks for them only after the
    signature has been found to be good, so ``signed`` is None where it was not.
    """

    folder: Path
    manifest: Any
    signed: frozenset[str] | None = None

    def hash(self, model_path: Path, *, files_to_hash: Sequence[Path] | None = None) -> Any:
        """The manifest; ``files_to_hash`` are the files that the signature names."""
        del model_path  # always the folder
        signed = files_to_hash or ()
        self.signed = frozenset((path.relative_to(self.folder) if path.is_relative_to(self.folder) else path).as_posix() for path in signed)
        return self.manifest

    def add_ignored_paths(self, **_: Any) -> None:
        """Do nothing: no signature decides which of the named files are looked at."""


def _library() -> Any:
    try:
        return importlib.import_module("model_signing")
    except ImportError as error:
        raise UsageError(
            f"Signatures need model-signing, but the package {error.name} is not installed or does not fit it.",
            mend="Install it: pip install guardmed[signing]",
        ) from error


def _named(files: Sequence[Path], *, apart: Sequence[Path]) -> tuple[Path, dict[str, Path]]:
    """The innermost folder that holds all the files, and each file by its name in there."""
    if not files:
        raise UsageError("No files are named to be signed or verified.", mend="Name those that the gate wrote, report.json at least.")
    paths = [Path(file).absolute() for file in files]
    folder = Path(os.path.commonpath([path.parent for path in paths]))
    others = [os.path.realpath(other) for other in apart]  # Path.resolve raises RuntimeError on links in a circle
    if others[0] == others[1]:
        raise UsageError(f"{apart[0]} is named both as the key and as the signature.", mend="Choose another name for the signature.")
    for path in paths:
        if os.path.realpath(path) in others:
            raise UsageError(f"{path} is the key or the signature, so it can't be one of the files too.", mend="Leave it out of the files.")
        inner = path.relative_to(folder)
        if ".." in inner.parts:
            raise UsageError(f"{path} leads through '..' while others of the files do not.", mend="Write the paths of all files in the same way.")
        for part in (path, *path.parents[: len(inner.parts) - 1]):
            if _is_link(part):
                raise DataError(f"{part} is a link, and links are not followed.", mend="Put the file itself there.")
        try:
            inner.as_posix().encode()
        except UnicodeEncodeError:
            raise DataError(f"The name {shown(str(inner))} is not UTF-8.", mend="Rename the file.") from None
    return folder, {path.relative_to(folder).as_posix(): path for path in paths}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise _unreadable(path, error) from None


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except OSError as error:
        raise _unreadable(path, error) from None


def _hash(library: Any, folder: Path, paths: list[Path]) -> Any:
    # By itself the library leaves out .gitignore, .gitattributes and what lies in .github, even when they are named.
    config = library.hashing.Config().use_file_serialization(hashing_algorithm="sha256").set_ignored_paths(paths=(), ignore_git_paths=False)
    try:
        return config.hash(folder, files_to_hash=paths)
    except OSError as error:
        raise _unreadable(Path(error.filename or folder), error) from None
    except ValueError as error:  # a file became a link or went away just now
        raise DataError(f"The files in {folder} are being changed: {error}", mend="Wait until nothing writes there.") from None


def _password(key: Path, password: str | None) -> bytes | None:
    """Check a private key, so that model-signing opens it without complaint; its password as the bytes that needs.

    No error holds the password, a part of it, or an error of the library that might.
    """
    data = _read_key(key)
    encrypted = b"ENCRYPTED" in data  # in the first lines, of PKCS #8 and of OpenSSL's older form
    if encrypted and password is None:
        raise UsageError(f"The key {key} is encrypted.", mend=f"Set {PASSWORD_VARIABLE} to its password.")
    if not encrypted and password is not None and b"PRIVATE KEY" in data:
        raise UsageError(f"{PASSWORD_VARIABLE} is set, but the key {key} is not encrypted.", mend="Unset it, or encrypt the key: openssl ec -aes256 -in KEY.")
    crypto = importlib.import_module("cryptography.exceptions")
    pem = importlib.import_module("cryptography.hazmat.primitives.serialization")
    try:
        # The variable's bytes as they were: Python keeps those that are not UTF-8 as surrogates.
        secret = None if password is None else password.encode("utf-8", "surrogateescape")
        private = pem.load_pem_private_key(data, secret)
    except (ValueError, TypeError, crypto.UnsupportedAlgorithm):
        if encrypted:
            raise DataError(f"The key {key} does not open with the password in {PASSWORD_VARIABLE}.", mend="Check the password.") from None
        raise DataError(f"{key} is not a private key in PEM.", mend=_MAKE) from None
    _check_curve(key, private)
    return secret


def _check_public(key: Path) -> None:
    data = _read_key(key)
    crypto = importlib.import_module("cryptography.exceptions")
    pem = importlib.import_module("cryptography.hazmat.primitives.serialization")
    try:
        public = pem.load_pem_public_key(data)
    except (ValueError, crypto.UnsupportedAlgorithm):
        half = " but a private one" if b"PRIVATE KEY" in data else " in PEM"
        raise DataError(f"{key} is not a public key{half}.", mend="Write its public half: openssl ec -in KEY -pubout -out KEY.pub.") from None
    _check_curve(key, public)


def _check_curve(path: Path, key: Any) -> None:
    curve = getattr(getattr(key, "curve", None), "name", None)
    if curve not in _CURVES:
        raise DataError(f"{path} is not a key on the curve P-256, P-384 or P-521.", mend=_MAKE)


def _read_key(path: Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"The key {path} does not exist.", mend="Check the path.") from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _read_bundle(signature: Path) -> Any:
    """A signature file's JSON, which must name its key: model-signing prints a warning about one that does not, and goes on."""
    try:
        bundle = read_json(signature)
        hint = bundle["verificationMaterial"]["publicKey"]["hint"]
    except OSError as error:
        raise _unreadable(signature, error) from None
    except _MALFORMED:
        hint = None
    if not isinstance(hint, str) or not hint:
        raise _broken(signature)
    return bundle


def _broken(signature: Path, key: Path | None = None, told: str = "") -> DataError:
    if "Key mismatch" in told:
        return DataError(f"The signature {signature} was made with another key than {key}.", mend="Name the public half of the key that should have signed.")
    return DataError(f"{signature} is broken: it is not a signature made with an elliptic-curve key.", mend=_AGAIN)


def _digests(bundle: Any) -> dict[str, str]:
    """What was signed of each file, to tell which was changed; that one was, model-signing found out from the signature itself."""
    try:
        resources = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))["predicate"]["resources"]
        return {one["name"]: one["digest"] for one in resources}
    except _MALFORMED:
        return {}


def _reasons(hashed: _Hashed, named: Mapping[str, Path], present: Mapping[str, Path], digests: Mapping[str, str]) -> list[str]:
    """What is wrong with each file, by name."""
    signed = hashed.signed or frozenset()
    found = {one.identifier: one.digest.digest_hex for one in hashed.manifest.resource_descriptors()}
    reasons = []
    for name in sorted(signed | named.keys()):
        if name not in signed:
            reasons.append(f"{shown(name)} was not signed")
        elif name not in named and _is_file(hashed.folder / name):
            reasons.append(f"{shown(name)} was signed, but is not among the files named")
        elif name not in present:
            reasons.append(f"{shown(name)} is missing")
        elif digests.get(name, found[name]) != found[name]:
            reasons.append(f"{shown(name)} was changed")
    return reasons


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path} can't be read: {error.strerror}.", mend="Check the path and its permissions.")
