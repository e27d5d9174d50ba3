"""Reads what a run is asked for with: JSON, or a form with files."""

import re
from typing import TypeVar

import orjson
from fastapi import Request as HttpRequest
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from heimnetz_common import strictjson
from heimnetz_common.errors import InvalidInput, Mistake, TooLarge, UnsupportedMedia
from heimnetz_sandbox.api.schemas import DraftRequest, RunRequest
from heimnetz_sandbox.model import (
    MAX_FILES,
    MAX_FILES_BYTES,
    MAX_INPUT_BYTES,
    MAX_PACKAGE_BYTES,
    InputFile,
    check_file_names,
)

BodyT = TypeVar("BodyT", bound=BaseModel)
MAX_WAIT_SECONDS = 60
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])")
_KEY = re.compile(r"[\x21-\x7e]{1,128}")


def wait_seconds(request: HttpRequest) -> int:
    """Of `Prefer: wait=N` (RFC 7240), at most a minute; a preference may be ignored, not wrong."""
    found = _WAIT.search(request.headers.get("prefer", ""))
    return min(int(found[1]), MAX_WAIT_SECONDS) if found else 0


def idempotency_key(request: HttpRequest) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidInput("an Idempotency-Key has 1 to 128 visible ASCII characters")
    return key


async def read(request: HttpRequest) -> tuple[bytes, tuple[InputFile, ...]]:
    """The input as JSON text, and the files.

    Raises: InvalidInput, InvalidFile, TooLarge, UnsupportedMedia.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _read_form(request)
    if kind not in ("application/json", ""):
        raise UnsupportedMedia("send application/json or multipart/form-data")
    body = await request.body()
    if len(body) > MAX_INPUT_BYTES:
        raise TooLarge(f"the input may have at most {MAX_INPUT_BYTES} bytes")
    asked = _validated(RunRequest, strictjson.loads(body) if body else {})
    return orjson.dumps(asked.input), ()


async def read_draft(request: HttpRequest) -> tuple[bytes, DraftRequest]:
    """The package, and what it is to be run with.

    Raises: InvalidInput, TooLarge, UnsupportedMedia.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise UnsupportedMedia("send multipart/form-data")
    try:
        async with request.form(max_files=1, max_fields=1, max_part_size=MAX_INPUT_BYTES) as form:
            return await _read_draft_parts(form)
    except HTTPException as error:
        raise InvalidInput(f"the form cannot be read: {error.detail}") from error


async def _read_draft_parts(form: FormData) -> tuple[bytes, DraftRequest]:
    package, asked = None, DraftRequest()
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            package = await value.read(MAX_PACKAGE_BYTES + 1)
        elif name == "draft":
            asked = _validated(DraftRequest, strictjson.loads(value))
        else:
            raise InvalidInput(f"the form has a part that is not known: {name[:100]!r}")
    if package is None:
        raise InvalidInput("the form has no package")
    if len(package) > MAX_PACKAGE_BYTES:
        raise TooLarge(f"a package has at most {MAX_PACKAGE_BYTES} bytes")
    return package, asked


def _validated(model: type[BodyT], document: object) -> BodyT:
    """Raises: InvalidInput."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        mistakes = [
            Mistake(item["msg"], "".join(f"/{part}" for part in item["loc"]))
            for item in error.errors()
        ]
        raise InvalidInput("this is not a request for a run", mistakes) from error


async def _read_form(request: HttpRequest) -> tuple[bytes, tuple[InputFile, ...]]:
    try:
        async with request.form(
            max_files=MAX_FILES, max_fields=1, max_part_size=MAX_INPUT_BYTES
        ) as form:
            return await _read_parts(form)
    except HTTPException as error:
        raise InvalidInput(f"the form cannot be read: {error.detail}") from error


async def _read_parts(form: FormData) -> tuple[bytes, tuple[InputFile, ...]]:
    document = {}
    files: list[InputFile] = []
    room = MAX_FILES_BYTES
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            data = await value.read(room + 1)
            room -= len(data)
            if room < 0:
                raise TooLarge(f"the files may have at most {MAX_FILES_BYTES} bytes together")
            files.append(InputFile(value.filename or "", data))
        elif name == "input":
            document = strictjson.loads(value)
        else:
            raise InvalidInput(f"the form has a part that is not known: {name[:100]!r}")
    if not isinstance(document, dict):
        raise InvalidInput("the input is a JSON object")
    check_file_names([file.name for file in files])
    return orjson.dumps(document), tuple(files)
