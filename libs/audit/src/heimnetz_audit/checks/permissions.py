"""A plugin asks for more than its code needs, or does what it does not ask for.

Compare the permissions in the manifest with what the code does. A permission that the code never
uses only helps an attacker, and something that the code does without asking was not meant to be
seen. Private data together with a way to the internet deserves a second look.

Found in `plugin.yaml`:

    permissions:
      network:
        - to: "*:443"   # the code talks to api.example.org only

Not found in `plugin.yaml`:

    permissions:
      network:
        - to: api.example.org:443
          reason: Asks for tomorrow's prices.
"""

from collections.abc import Iterator

from heimnetz_audit.model import (
    Check,
    Confidence,
    DeclaredPermissions,
    Hit,
    InferredPermissions,
    PermissionDifference,
    Severity,
)

CHECK = Check(
    rule="manifest-permissions",
    title="Permissions that do not fit the code",
    cwe=250,
    severity=Severity.LOW,
    remedy="Declare what the code does, and nothing else; give a reason for each permission.",
)


def ask(
    declared: DeclaredPermissions, inferred: InferredPermissions, difference: PermissionDifference
) -> Iterator[tuple[Check, Hit]]:
    def hit(message: str, severity: Severity) -> tuple[Check, Hit]:
        return CHECK, Hit(
            message=message,
            severity=severity,
            confidence=Confidence.MEDIUM,
            file="plugin.yaml",
            line=1,
        )

    problems: list[tuple[Severity, str]] = []
    if difference.undeclared:
        problems.append(
            (Severity.MEDIUM, f"The code does what is not declared: {difference.undeclared[0]}.")
        )
    if any(pattern in ("*", "*:*") for pattern in declared.network):
        problems.append((Severity.MEDIUM, "The plugin may reach every host."))
    if difference.unused:
        problems.append((Severity.LOW, f"A permission is never used: {difference.unused[0]}."))
    if declared.network and (declared.secrets or declared.files):
        problems.append((Severity.LOW, "Private data and a way to the internet come together."))
    if declared.network and "network" not in declared.reasons:
        problems.append((Severity.INFO, "There is no reason given for the network permission."))
    if problems:
        worst = max(severity for severity, _ in problems)
        yield hit(" ".join(message for _, message in problems), worst)
