"""What a plugin's package may be: its format, manifest, permissions and limits.

Pure: no network, no engine, no clock. The CLI, the registry, the auditor, the sandbox and the
documentation read packages through here and nowhere else, so that there is one answer to what is
inside one.
"""

from heimnetz_manifest.configuration import ConfigurationSchema, SchemaMistake
from heimnetz_manifest.errors import (
    InvalidConfiguration,
    InvalidManifest,
    InvalidName,
    InvalidVersion,
    ManifestError,
    Mistake,
    NotAsked,
    PackageError,
    kinds,
)
from heimnetz_manifest.limits import DEFAULT_MAXIMA, Limits, Maxima
from heimnetz_manifest.model import MANIFEST_NAME, Manifest
from heimnetz_manifest.names import PluginName, Version
from heimnetz_manifest.packing import pack
from heimnetz_manifest.parsing import parse_manifest
from heimnetz_manifest.permissions import Destination, Grants, Permissions
from heimnetz_manifest.schema import manifest_schema
from heimnetz_manifest.template import manifest_template
from heimnetz_manifest.unpacking import Package, inspect_package, read_package

__all__ = [
    "DEFAULT_MAXIMA",
    "MANIFEST_NAME",
    "ConfigurationSchema",
    "Destination",
    "Grants",
    "InvalidConfiguration",
    "InvalidManifest",
    "InvalidName",
    "InvalidVersion",
    "Limits",
    "Manifest",
    "ManifestError",
    "Maxima",
    "Mistake",
    "NotAsked",
    "Package",
    "PackageError",
    "Permissions",
    "PluginName",
    "SchemaMistake",
    "Version",
    "inspect_package",
    "kinds",
    "manifest_schema",
    "manifest_template",
    "pack",
    "parse_manifest",
    "read_package",
]
