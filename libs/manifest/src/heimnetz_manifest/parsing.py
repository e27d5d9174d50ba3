"""Bytes in, a manifest out, or every mistake with its place."""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, ValidationError

from heimnetz_manifest.errors import InvalidManifest, Mistake, shown
from heimnetz_manifest.limits import DEFAULT_MAXIMA, Maxima
from heimnetz_manifest.loading import Document, Path, load, pointer
from heimnetz_manifest.model import Manifest

_MOST_MISTAKES = 50
_PLAIN_DETAILS = {
    "string_type": "this is one text",
    "string_too_short": "this is empty",
    "list_type": "this is a list",
    "dict_type": "this is a mapping of keys to values",
    "model_type": "this is a mapping of keys to values",
    "model_attributes_type": "this is a mapping of keys to values",
    "int_type": "this is a whole number",
    "float_type": "this is a number",
    "bool_type": "this is true or false",
    "string_unicode": "this is not a text",
}


def parse_manifest(data: bytes, *, maxima: Maxima = DEFAULT_MAXIMA) -> Manifest:
    """Raises: InvalidManifest with every mistake found."""
    return parse_with_places(data, maxima=maxima)[0]


def parse_with_places(data: bytes, *, maxima: Maxima = DEFAULT_MAXIMA) -> tuple[Manifest, Document]:
    """Raises: InvalidManifest."""
    document = load(data)
    try:
        manifest = Manifest.model_validate(document.tree, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidManifest(list_mistakes(error, document, Manifest)) from error
    exceeded = maxima.exceeded_by(manifest.limits)
    if exceeded:
        raise InvalidManifest(
            place_mistake(
                document,
                ("limits", key),
                "manifest-limit-out-of-range",
                f"{asked:,.12g} is asked, {allowed:,.12g} is the owner's maximum",
            )
            for key, (asked, allowed) in exceeded.items()
        )
    return manifest, document


def check_files(manifest: Manifest, document: Document, present: Collection[str]) -> None:
    """Raises: InvalidManifest, when the manifest names a file that is not there."""
    missing = [
        place_mistake(
            document, where, "manifest-missing-file", f"{shown(path)} is not in the package"
        )
        for where, path in manifest.named_files().items()
        if path not in present
    ]
    if not any(path in present for path in manifest.entry_files()):
        looked = " or ".join(manifest.entry_files())
        missing.append(
            place_mistake(
                document,
                ("entry_point",),
                "manifest-missing-file",
                f"the package has no {shown(looked)}",
            )
        )
    if missing:
        raise InvalidManifest(missing)


def place_mistake(
    document: Document,
    path: Path,
    kind: str,
    detail: str,
    suggestion: str | None = None,
    *,
    of_key: bool = False,
) -> Mistake:
    place = document.place(path, of_key=of_key)
    return Mistake(
        kind,
        pointer(path),
        detail,
        place.line if place else None,
        place.column if place else None,
        suggestion,
    )


def list_mistakes(
    error: ValidationError, document: Document, model: type[BaseModel]
) -> list[Mistake]:
    """What a model found in a document, each with its place; at most fifty."""
    found: list[Mistake] = []
    for item in error.errors(include_url=False)[:_MOST_MISTAKES]:
        context = item.get("ctx") or {}
        path: Path = (*item["loc"], *context.get("below", ()))
        match item["type"]:
            case "extra_forbidden":
                key = str(path[-1])
                near = difflib.get_close_matches(key, _keys_at(model, path[:-1]), n=1, cutoff=0.5)
                detail = f"the key {shown(key)} is unknown here"
                found.append(
                    place_mistake(
                        document, path, "manifest-unknown-key", detail, *near, of_key=True
                    )
                )
            case "missing":
                detail = f"the key {path[-1]} is missing"
                found.append(place_mistake(document, path, "manifest-missing-key", detail))
            case kind if kind.startswith("manifest-"):
                found.append(
                    place_mistake(
                        document,
                        path,
                        kind,
                        str(context.get("reason", item["msg"])),
                        context.get("suggestion"),
                        of_key=bool(context.get("of_key")),
                    )
                )
            case kind:
                found.append(_plain_mistake(document, path, kind, item))
    return found


def _plain_mistake(document: Document, path: Path, kind: str, item: Any) -> Mistake:
    value, context = item["input"], item.get("ctx") or {}
    if isinstance(value, str) and value == "" and getattr(value, "is_plain", False):
        detail = "this has no value; give one, or leave the key out"
    elif kind == "literal_error":
        detail = f"{shown(str(value))!r} is not one of {context.get('expected')}"
        allowed = [
            word.strip(" '")
            for word in str(context.get("expected", "")).replace(" or ", ",").split(",")
        ]
        near = difflib.get_close_matches(str(value)[:100], allowed, n=1, cutoff=0.5)
        return place_mistake(document, path, "manifest-invalid-value", detail, *near)
    else:
        detail = _PLAIN_DETAILS.get(kind) or shown(str(item["msg"]))
    in_limits = path[:1] == ("limits",) and kind.startswith(("greater", "less"))
    return place_mistake(
        document,
        path,
        "manifest-limit-out-of-range" if in_limits else "manifest-invalid-value",
        detail,
    )


def _keys_at(model: Any, path: Path) -> list[str]:
    """The keys that the model knows at a place."""
    for part in path:
        fields = {info.alias or name: info for name, info in model.model_fields.items()}
        if part not in fields:
            continue  # the number of an item, or a name that its owner chose
        model = _model_in(fields[part].annotation)
        if model is None:
            return []
    return [info.alias or name for name, info in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, typing.get_args(annotation))), None)
