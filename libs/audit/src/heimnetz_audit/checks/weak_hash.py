"""A hash or cipher that is broken, or a password stored without a slow hash.

MD5 and SHA-1 collide, DES, RC4 and ECB leak what they encrypt. Use SHA-256 or better, AES-GCM or
ChaCha20-Poly1305, and for passwords Argon2, scrypt or bcrypt. A digest that protects nothing says
so with `usedforsecurity=False`.

Found in `app.py`:

    import hashlib
    def store(password):
        return hashlib.md5(password.encode()).hexdigest()

Not found in `app.py`:

    import hashlib
    def store(data):
        return hashlib.sha256(data).hexdigest()
"""

from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Confidence, Hit, Severity
from heimnetz_audit.model.questions import on

_WEAK = frozenset({"md2", "md4", "md5", "sha", "sha1", "sha-1", "ripemd160", "md5-sha1",
                   "rmd160", "whirlpool"})  # fmt: skip


def _is_excused(call: Call) -> bool:
    purpose = call.keywords.get("usedforsecurity")
    return purpose is not None and purpose.const is False


def _ask_named(call: Call) -> Iterator[Hit]:
    if not _is_excused(call):
        yield Hit(message=f"{call.method.upper()} is broken as a protection.")


def _ask_new(call: Call) -> Iterator[Hit]:
    name = call.argument(0, "name")
    if name is None or _is_excused(call):
        return
    weak = [text for text in name.consts or () if isinstance(text, str) and text.lower() in _WEAK]
    if weak:
        yield Hit(message=f"{weak[0].upper()} is broken as a protection.")


def _ask_hmac(call: Call) -> Iterator[Hit]:
    kind = call.argument(2, "digestmod")
    text = (kind.text or kind.name or "") if kind is not None else ""
    if text.rpartition(".")[2].lower() == "md5":
        yield Hit(message="The code is made with MD5.", confidence=Confidence.MEDIUM)


def _ask_cipher(call: Call) -> Iterator[Hit]:
    yield Hit(message=f"{call.name} is a cipher that is broken.", cwe=327, severity=Severity.MEDIUM)


def _ask_mode(call: Call) -> Iterator[Hit]:
    mode = call.argument(1, "mode")
    if mode is not None and (mode.name or "").endswith("MODE_ECB"):
        yield Hit(message="ECB shows which blocks are equal.", cwe=327, severity=Severity.MEDIUM)


def _ask_ecb(call: Call) -> Iterator[Hit]:
    yield Hit(message="ECB shows which blocks are equal.", cwe=327, severity=Severity.MEDIUM)


CHECK = Check(
    rule="weak-cryptography",
    title="Broken hash or cipher",
    cwe=328,
    severity=Severity.LOW,
    remedy="Use SHA-256 or better, an authenticated cipher, and Argon2 for passwords.",
    calls={
        **on(
            "hashlib.md5 hashlib.sha1 md5.new sha.new Crypto.Hash.MD5.new Crypto.Hash.SHA1.new "
            "Crypto.Hash.MD4.new Crypto.Hash.MD2.new Crypto.Hash.SHA.new Cryptodome.Hash.MD5.new "
            "cryptography.hazmat.primitives.hashes.MD5 passlib.hash.md5_crypt.hash "
            "cryptography.hazmat.primitives.hashes.SHA1 passlib.hash.hex_md5.hash",
            _ask_named,
        ),
        "hashlib.new": _ask_new,
        "hashlib.file_digest": lambda call: _ask_new(
            Call(**{f: getattr(call, f) for f in Call.__slots__} | {"args": call.args[1:]})
        ),
        "hmac.new": _ask_hmac,
        "hmac.digest": _ask_hmac,
        **on(
            "Crypto.Cipher.DES.new Crypto.Cipher.ARC4.new Crypto.Cipher.ARC2.new "
            "Crypto.Cipher.Blowfish.new Cryptodome.Cipher.DES.new Cryptodome.Cipher.ARC4.new "
            "Crypto.Cipher.XOR.new cryptography.hazmat.primitives.ciphers.algorithms.ARC4 "
            "cryptography.hazmat.primitives.ciphers.algorithms.Blowfish "
            "cryptography.hazmat.primitives.ciphers.algorithms.IDEA pyDes.des Crypto.Cipher.DES3.new",
            _ask_cipher,
        ),
        **on("Crypto.Cipher.AES.new Cryptodome.Cipher.AES.new", _ask_mode),
        "cryptography.hazmat.primitives.ciphers.modes.ECB": _ask_ecb,
    },
)
