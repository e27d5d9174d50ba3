"""The audit engine: what is dangerous in a package, and why.

A pure library. It imports and executes nothing of what it looks at, and touches no network, no
database and no clock.
"""

from heimnetz_audit.auditing import ENGINE_VERSION, audit
from heimnetz_audit.examining import Memory
from heimnetz_audit.model import (
    Confidence,
    DeclaredPermissions,
    Finding,
    InferredPermissions,
    Report,
    Severity,
    SourceTree,
    Step,
    Unknown,
)
from heimnetz_audit.verdict import Policy, Verdict, decide, exit_code

__all__ = [
    "ENGINE_VERSION",
    "Confidence",
    "DeclaredPermissions",
    "Finding",
    "InferredPermissions",
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
