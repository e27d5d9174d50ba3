"""The owner's policy: a YAML file, or the default beside this module."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from heimnetz_audit.model.waivers import InvalidPolicy
from heimnetz_audit.verdict import Policy


@dataclass(frozen=True, slots=True)
class OwnersPolicy:
    """`document` is what the file says, in JSON's types; `sha256` is of that, not of the layout."""

    document: Mapping[str, Any]
    sha256: str


def load_policy(path: Path | None) -> OwnersPolicy:
    """Raises: InvalidPolicy, when the file cannot be read or says something without meaning."""
    if path is None:
        return parse_policy(files("heimnetz_auditor").joinpath("policy.yaml").read_text("utf-8"))
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidPolicy(f"{path} cannot be read: {error}") from error
    return parse_policy(text)


def parse_policy(text: str) -> OwnersPolicy:
    """Raises: InvalidPolicy."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidPolicy(f"not YAML: {' '.join(str(error).split())}") from error
    document = {} if document is None else document
    if not isinstance(document, dict):
        raise InvalidPolicy("the policy is a mapping of names to values")
    Policy.from_mapping(document)
    # Dates of waivers become text, which the engine reads as well.
    canonical = json.dumps(document, sort_keys=True, default=str)
    return OwnersPolicy(json.loads(canonical), hashlib.sha256(canonical.encode()).hexdigest())
