"""The code computes cryptocurrency for somebody.

The owner of the machine pays for the electricity and waits for the other plugins, and the coins go
to somebody else. Programs that mine, the protocol of their pools (`stratum`) and addresses of wallets
are what the check looks for.

Found in `app.py`:

    import subprocess
    subprocess.Popen(['xmrig', '-o', 'stratum+tcp://pool.minexmr.com:4444', '-u', 'x'])

Not found in `app.py`:

    import subprocess
    subprocess.Popen(['gzip', 'readings.csv'])
"""

import re
from collections.abc import Iterator

from heimnetz_audit.model import Check, Hit, PythonModule, Severity
from heimnetz_audit.model.threats import strings

_MARKS = re.compile(
    r"stratum\+(tcp|ssl|tls)://|\bxmrig\b|\bcpuminer\b|\bminerd\b|coinhive|cryptonight|"
    r"--donate-level|minexmr|nanopool\.org|supportxmr|moneroocean|nicehash|\bethminer\b|"
    r"\bnbminer\b|hashvault\.pro|2miners\.com|randomx\b.*pool|\bt-rex\b.*-a\s",
    re.IGNORECASE,
)


def _ask(module: PythonModule) -> Iterator[Hit]:
    for line, text in strings(module):
        found = _MARKS.search(text[:20_000])
        if found is not None:
            yield Hit(message=f"A miner or its pool is named: {found.group(0)[:60]}", line=line)
            return


CHECK = Check(
    rule="crypto-mining",
    title="Mines cryptocurrency",
    cwe=506,
    severity=Severity.HIGH,
    remedy="Remove it.",
    module=_ask,
)
