"""The manifest as JSON Schema, for editors and other languages."""

from __future__ import annotations

from typing import Any

from heimnetz_manifest.model import Manifest

SCHEMA_ID = "https://heimnetz.example/schemas/manifest-1.json"


def manifest_schema() -> dict[str, Any]:
    """JSON Schema 2020-12, generated from the model."""
    schema = Manifest.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}
