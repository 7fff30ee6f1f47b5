"""Secrets at rest: one file per key, encrypted under a passphrase, readable by its owner only.

A file is JSON: in clear what it is for and, for a key, the public half; sealed the secret itself,
with XSalsa20-Poly1305 (libsodium's secretbox) under a key that Argon2id (RFC 9106) makes of the
passphrase. Opening the box proves the passphrase and the purpose; a public half that does not
belong to the opened secret is refused.

What it is not: a place where secrets change. A file is written once and never over another: a
rotated key is a new file. Neither is it a defence against whoever reads this process's memory.
"""

import os
import re
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import nacl.exceptions
from nacl.pwhash import argon2id
from nacl.secret import SecretBox

from protocol.encoding import convert, encode_json, from_base64url, parse_json, to_base64url
from protocol.errors import KeystoreError, ProtocolError
from signing.keys import KeyUse, SigningKey

MAX_FILE_BYTES: Final = 16 << 10
"""Longest key or passphrase file that is read."""

MAX_SECRET_BYTES: Final = 4 << 10
"""Longest secret that `save_secret` takes."""

MAX_PASSPHRASE_BYTES: Final = 1 << 10
"""Longest passphrase."""

_FORMAT: Final = "schutznetz-key-file"
_VERSION: Final = 1
_KDF: Final = "argon2id13"
_PURPOSE: Final = re.compile(r"[a-z][a-z0-9._-]{0,159}")
_KEY_PURPOSES: Final = frozenset(KeyUse)


@dataclass(frozen=True)
class Cost:
    """What one guess at a passphrase costs (RFC 9106 section 3.1: t and m; one lane).

    Attributes:
        operations: passes over the memory, 1 to 16.
        memory_bytes: memory, 8 KiB to 1 GiB.
    """

    operations: int
    memory_bytes: int


# The cost is read from files that somebody else may have written, so it has a ceiling as well.
_MAX_COST: Final = Cost(16, 1 << 30)
_MIN_COST: Final = Cost(argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN)

INTERACTIVE: Final = Cost(argon2id.OPSLIMIT_INTERACTIVE, argon2id.MEMLIMIT_INTERACTIVE)
"""64 MiB, two passes: 57 ms on one core of an EPYC server. The default: a node opens about five
files when it starts and is to serve within 5 s on a small machine too, and its passphrase, kept in
a secret file, can be long and random because nobody has to remember it."""

MODERATE: Final = Cost(argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE)
"""256 MiB, three passes: 440 ms on the same core. For a key that a person opens by hand with a
passphrase they remember: the root key, a flagger's key."""


class _Kdf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the passphrase becomes the box's key."""

    name: str
    operations: int
    memory_bytes: int
    salt: str


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it lies on the disk."""

    format: str
    version: int
    purpose: str
    kdf: _Kdf
    box: str
    kid: str = ""
    public: str = ""


def save_key(path: Path, key: SigningKey, passphrase: bytes, *, cost: Cost = INTERACTIVE) -> None:
    """The key lies durably at `path`, encrypted, and nothing was overwritten.

    Args:
        path: the new file; its directory is made (mode 0700) where it is missing.
        key: the key to keep.
        passphrase: 1 to `MAX_PASSPHRASE_BYTES` bytes.
        cost: what one guess at the passphrase shall cost.

    Raises:
        KeystoreError: there is something at `path`, others may write to its directory, the
            passphrase is empty or too long, or the disk refused.
    """
    _write(
        path,
        _seal(
            key.use.value,
            key.seed,
            passphrase,
            cost,
            kid=key.kid,
            public=to_base64url(key.public.raw),
        ),
    )


def load_key(path: Path, passphrase: bytes, *, use: KeyUse) -> SigningKey:
    """Return the key that `save_key` wrote.

    Args:
        path: the key file, mode 0600 or narrower.
        passphrase: the one that it was saved under.
        use: what the caller wants to sign; a key for anything else is refused.

    Raises:
        KeystoreError: no such file, readable by others, not a key file, for another use, another
            passphrase, or a public half that is not the secret's.
    """
    found = _read(path, use.value)
    key = SigningKey.from_seed(use, _open(path, found, passphrase, length=32))
    if (found.kid, found.public) != (key.kid, to_base64url(key.public.raw)):
        raise KeystoreError(f"{path}: the public key in the file is not that of the secret in it.")
    return key


def save_secret(
    path: Path, purpose: str, secret: bytes, passphrase: bytes, *, cost: Cost = INTERACTIVE
) -> None:
    """The secret lies durably at `path`, encrypted, and nothing was overwritten.

    Args:
        path: the new file; its directory is made (mode 0700) where it is missing.
        purpose: what it is for, such as ``oprf-share``: a lower-case word, no `KeyUse`.
        secret: 1 to `MAX_SECRET_BYTES` bytes.
        passphrase: 1 to `MAX_PASSPHRASE_BYTES` bytes.
        cost: what one guess at the passphrase shall cost.

    Raises:
        KeystoreError: as `save_key`.
        RuntimeError: `purpose` or the length of `secret` is out of bounds.
    """
    _check_purpose(purpose)
    if not 1 <= len(secret) <= MAX_SECRET_BYTES:
        raise RuntimeError(f"A secret has 1 to {MAX_SECRET_BYTES} bytes.")
    _write(path, _seal(purpose, secret, passphrase, cost))


def load_secret(path: Path, purpose: str, passphrase: bytes) -> bytes:
    """Return the secret that `save_secret` wrote for the same purpose.

    Raises:
        KeystoreError: as `load_key`.
        RuntimeError: `purpose` is out of bounds.
    """
    _check_purpose(purpose)
    return _open(path, _read(path, purpose), passphrase)


def read_passphrase(
    *, file: Path | None, env: str | None, prompt: Callable[[], str] | None
) -> bytes:
    """Return the passphrase from the first source that there is: file, environment, prompt.

    A source that is there but unusable is an error; the next one is not tried instead.

    Args:
        file: a file of mode 0600 or narrower; one line end at its end is not part of it.
        env: name of an environment variable; unset is the same as None.
        prompt: asks a person; None where there is nobody to ask.

    Raises:
        KeystoreError: no source, an unusable file, or an empty or too long passphrase.
    """
    if file is not None:
        data = _read_private(file)
        found, source = re.sub(rb"\r?\n\Z", b"", data), str(file)
    elif env is not None and (value := os.environ.get(env)) is not None:
        # bytes of the environment that are not UTF-8 arrive as surrogates: give them back as is
        found, source = os.fsencode(value), f"The variable {env}"
    elif prompt is not None:
        try:
            found, source = prompt().encode(), "The prompt"
        except (EOFError, UnicodeEncodeError):
            raise KeystoreError("The prompt gave no passphrase.") from None
    else:
        variable = f" set {env}," if env is not None else ""
        raise KeystoreError(
            f"There is no passphrase: name a passphrase file,{variable} or run it at a terminal."
        )
    _check_passphrase(found, source)
    return found


def _check_purpose(purpose: str) -> None:
    """Stop a programming mistake: a secret under a key's name would be taken for a key."""
    if purpose in _KEY_PURPOSES or not _PURPOSE.fullmatch(purpose):
        raise RuntimeError("The purpose of a secret is a short lower-case word, and no key's use.")


def _check_passphrase(passphrase: bytes, source: str) -> None:
    if not passphrase:
        raise KeystoreError(f"{source}: the passphrase is empty.")
    if len(passphrase) > MAX_PASSPHRASE_BYTES:
        raise KeystoreError(f"{source}: a passphrase has at most {MAX_PASSPHRASE_BYTES} bytes.")


def _seal(
    purpose: str, secret: bytes, passphrase: bytes, cost: Cost, *, kid: str = "", public: str = ""
) -> bytes:
    """Return the content of a key file."""
    _check_passphrase(passphrase, "The key file")
    salt = secrets.token_bytes(argon2id.SALTBYTES)
    # The purpose is sealed with the secret: relabelling a file does not turn a key to another use.
    plain = purpose.encode("ascii") + b"\x00" + secret
    box = SecretBox(_derive(passphrase, salt, cost)).encrypt(plain)
    content = _KeyFile(
        format=_FORMAT,
        version=_VERSION,
        purpose=purpose,
        kdf=_Kdf(_KDF, cost.operations, cost.memory_bytes, to_base64url(salt)),
        box=to_base64url(bytes(box)),
        kid=kid,
        public=public,
    )
    return encode_json(content) + b"\n"


def _derive(passphrase: bytes, salt: bytes, cost: Cost) -> bytes:
    """Return the 32-byte key of the box."""
    try:
        return argon2id.kdf(
            SecretBox.KEY_SIZE, passphrase, salt, cost.operations, cost.memory_bytes
        )
    except nacl.exceptions.RuntimeError:  # libsodium's only failure within its limits
        mebibytes = cost.memory_bytes >> 20
        raise KeystoreError(
            f"Opening the key file needs {mebibytes} MiB of memory, and they are not to be had."
        ) from None


def _read(path: Path, purpose: str) -> _KeyFile:
    """Return the parsed file, still sealed, if it is of our form and for this purpose."""
    data = _read_private(path)
    try:
        found = convert(parse_json(data, max_bytes=MAX_FILE_BYTES), _KeyFile)
    except ProtocolError as error:
        raise KeystoreError(f"{path}: not a key file. {error}") from None
    if found.format != _FORMAT or found.kdf.name != _KDF:
        raise KeystoreError(f"{path}: not a key file of Schutznetz.")
    if found.version != _VERSION:
        raise KeystoreError(
            f"{path}: written by a version of Schutznetz that this one cannot read."
        )
    if found.purpose != purpose:
        raise KeystoreError(f"{path}: this file is not for the use {purpose!r}.")
    return found


def _open(path: Path, found: _KeyFile, passphrase: bytes, *, length: int | None = None) -> bytes:
    """Return the secret in the box."""
    cost = Cost(found.kdf.operations, found.kdf.memory_bytes)
    if not (
        _MIN_COST.operations <= cost.operations <= _MAX_COST.operations
        and _MIN_COST.memory_bytes <= cost.memory_bytes <= _MAX_COST.memory_bytes
    ):
        raise KeystoreError(f"{path}: asks for more memory or time than a key file may.")
    _check_passphrase(passphrase, str(path))
    try:
        salt = from_base64url(found.kdf.salt, length=argon2id.SALTBYTES)
        box = from_base64url(found.box)
    except ProtocolError:
        raise KeystoreError(f"{path}: the key file is damaged.") from None
    try:
        plain = SecretBox(_derive(passphrase, salt, cost)).decrypt(box)
    except nacl.exceptions.CryptoError:
        raise KeystoreError(f"{path}: wrong passphrase, or the file is damaged.") from None
    sealed_purpose, _, secret = plain.partition(b"\x00")
    if sealed_purpose != found.purpose.encode() or length not in (None, len(secret)):
        raise KeystoreError(f"{path}: the sealed secret is for something else than the file says.")
    return secret


def _read_private(path: Path) -> bytes:
    """Return the content of a regular, short file that nobody but its owner may touch."""
    try:
        # not blocking: a pipe in the file's place must not hang the start of a node
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KeystoreError(f"{path}: cannot be opened: {error.strerror}.") from None
    try:
        # what is judged is the opened file, not what the name may point to a moment later
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise KeystoreError(f"{path}: not a file.")
        if mode & 0o077:
            raise KeystoreError(
                f"{path}: others on this machine may read it (mode {stat.S_IMODE(mode):04o}); "
                f"if nobody did, run: chmod 600 {path}"
            )
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > MAX_FILE_BYTES:
        raise KeystoreError(f"{path}: longer than the {MAX_FILE_BYTES} bytes such a file may have.")
    return data


def _write(path: Path, content: bytes) -> None:
    """Put `content` at `path`, all or nothing, and never over another file.

    A crash before the link leaves `path` as it was (absent), one after it leaves the whole file;
    either may leave a ``.new-…`` beside it, encrypted like the file, which can be deleted.
    """
    try:
        _prepare_directory(path.parent)
        temporary = path.parent / f".new-{secrets.token_hex(8)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(descriptor)
            # A link, unlike a rename, fails when the name is taken.
            os.link(temporary, path)
        finally:
            temporary.unlink()
        _sync_directory(path.parent)
    except FileExistsError:
        raise KeystoreError(
            f"{path}: there is a file already, and keys are never overwritten; move it away first."
        ) from None
    except OSError as error:
        raise KeystoreError(f"{path}: cannot be written: {error.strerror}.") from None


def _prepare_directory(directory: Path) -> None:
    """Make the directory for its owner alone, or see that nobody else may put files into it."""
    if not directory.exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_directory(directory.parent)
        return
    mode = directory.stat().st_mode
    if mode & 0o022 and not mode & stat.S_ISVTX:
        raise KeystoreError(
            f"{directory}: others may write to this directory; run: chmod go-w {directory}"
        )


def _sync_directory(directory: Path) -> None:
    """Make the names in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
