"""The nouns of an audit."""

from heimnetz_audit.model.advisories import Advisories, InvalidAdvisories
from heimnetz_audit.model.checks import Check, Hit, Package
from heimnetz_audit.model.code import PythonModule
from heimnetz_audit.model.findings import Confidence, Finding, Severity, Step, Unknown
from heimnetz_audit.model.pinned import Bundled, Dependency, Pinned
from heimnetz_audit.model.points import grade, score
from heimnetz_audit.model.report import (
    DeclaredPermissions,
    Deduction,
    InferredPermissions,
    PermissionDifference,
    Report,
)
from heimnetz_audit.model.tree import SourceTree
from heimnetz_audit.model.values import Call, Value

__all__ = [
    "Advisories",
    "Bundled",
    "Call",
    "Check",
    "Confidence",
    "DeclaredPermissions",
    "Deduction",
    "Dependency",
    "Finding",
    "Hit",
    "InferredPermissions",
    "InvalidAdvisories",
    "Package",
    "PermissionDifference",
    "Pinned",
    "PythonModule",
    "Report",
    "Severity",
    "SourceTree",
    "Step",
    "Unknown",
    "Value",
    "grade",
    "score",
]
