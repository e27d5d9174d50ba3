"""The audit engine: what is dangerous in a package, and why.

A pure library. It imports and executes nothing of what it looks at, and touches no network, no
database and no clock.
"""

from heimnetz_audit.auditing import audit
from heimnetz_audit.examining import Memory
from heimnetz_audit.model import (
    Advisories,
    Confidence,
    DeclaredPermissions,
    Finding,
    InferredPermissions,
    InvalidAdvisories,
    Report,
    Severity,
    SourceTree,
    Step,
    Unknown,
)
from heimnetz_audit.rules import ENGINE_VERSION
from heimnetz_audit.verdict import Policy, Verdict, decide, exit_code

__all__ = [
    "ENGINE_VERSION",
    "Advisories",
    "Confidence",
    "DeclaredPermissions",
    "Finding",
    "InferredPermissions",
    "InvalidAdvisories",
    "Memory",
    "Policy",
    "Report",
    "Severity",
    "SourceTree",
    "Step",
    "Unknown",
    "Verdict",
    "audit",
    "decide",
    "exit_code",
]
