"""The photo of a request, in memory alone."""

from __future__ import annotations

import sys

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

__all__ = ["UPLOAD_SCHEMA", "read_upload"]

_FIELD = "photo"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
UPLOAD_SCHEMA = {
    "required": True,
    "content": {
        "image/*": _BINARY,
        "application/octet-stream": _BINARY,
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {_FIELD: {"type": "string", "format": "binary"}},
                "required": [_FIELD],
            }
        },
    },
}


class _InMemory(MultiPartParser):
    # By default, larger files go to the disk.
    spool_max_size = sys.maxsize


async def read_upload(request: Request, max_bytes: int) -> bytes:
    """Read the photo of a request.

    Parameters
    ----------
    request : Request
        Its body is the file of a photo, or a form with the field ``photo``.
    max_bytes : int

    Returns
    -------
    bytes

    Raises
    ------
    HTTPException
        With a status from 400 to 499.
    """
    kind = request.headers.get("content-type", "application/octet-stream").lower()
    kind = kind.partition(";")[0].strip()
    form = kind == "multipart/form-data"
    if not form and kind != "application/octet-stream" and not kind.startswith("image/"):
        raise HTTPException(
            415, "send the photo as image/jpeg or the like, or in the field 'photo' of a form"
        )
    try:
        content = await _photo_of_form(request) if form else await request.body()
    except ClientDisconnect as error:
        raise HTTPException(400, "the upload was cut short") from error
    if not content:
        raise HTTPException(422, "the photo is empty")
    if len(content) > max_bytes:
        raise HTTPException(413, f"the photo has more than {max_bytes:,} bytes: reduce it first")
    return content


async def _photo_of_form(request: Request) -> bytes:
    parser = _InMemory(request.headers, request.stream())
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, f"the form cannot be read: {error.message}") from error
    except (KeyError, ValueError) as error:
        raise HTTPException(400, "the form cannot be read") from error
    photo = form.get(_FIELD)
    if not isinstance(photo, UploadFile):
        raise HTTPException(422, f"the form has no file in the field {_FIELD!r}")
    return await photo.read()
