"""Random numbers that can be foretold.

`random` is made for simulations: who sees some of its numbers knows the next ones. For tokens,
passwords, keys and anything that must not be guessed use `secrets` or `random.SystemRandom`.

Found in `app.py`:

    import random
    def make_token():
        return str(random.random())

Not found in `app.py`:

    import secrets
    def make_token():
        return secrets.token_hex(16)
"""

import re
from collections.abc import Iterator

from heimnetz_audit.model import Call, Check, Confidence, Hit, Severity
from heimnetz_audit.model.questions import on

_SENSITIVE = re.compile(
    r"token|passw|secret|key|nonce|salt|otp|session|csrf|auth|pin\b", re.IGNORECASE
)


def _ask(call: Call) -> Iterator[Hit]:
    is_sensitive = bool(_SENSITIVE.search(call.scope))
    yield Hit(
        message="This random number can be foretold.",
        severity=Severity.MEDIUM if is_sensitive else Severity.LOW,
        confidence=Confidence.MEDIUM if is_sensitive else Confidence.LOW,
    )


CHECK = Check(
    rule="weak-randomness",
    title="Foretellable random numbers",
    cwe=330,
    severity=Severity.LOW,
    remedy="Use the secrets module for anything that must not be guessed.",
    calls=on(
        "random.random random.randint random.randrange random.choice random.choices "
        "random.sample random.uniform random.getrandbits random.randbytes random.shuffle "
        "random.Random random.gauss random.normalvariate random.triangular random.betavariate "
        "random.expovariate random.lognormvariate random.vonmisesvariate random.paretovariate "
        "random.weibullvariate random.gammavariate random.binomialvariate numpy.random.rand "
        "numpy.random.randint numpy.random.random numpy.random.choice uuid.uuid1",
        _ask,
    ),
)
