"""One uploaded file out of a multipart body (RFC 7578), without ever touching a disk.

The framework would spool a larger file into the system's temporary folder. Here the file may be the
very material that must not be kept, so the body, bounded before it was read, stays in memory.
"""

from typing import Final

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from node.api.problems import INVALID, ProblemError, invalid_fields

MULTIPART: Final = "multipart/form-data"

_MAX_BOUNDARY_BYTES: Final = 70
"""RFC 2046 section 5.1.1."""


class _OneFile:
    """Collects the data of the one part that a body may have."""

    def __init__(self) -> None:
        self.parts = 0
        self.complete = False
        # One growing buffer: hostile data arrives in millions of pieces.
        self.content = bytearray()

    def begin(self) -> None:
        self.parts += 1
        if self.parts > 1:
            raise invalid_fields([("", "Exactly one file is taken at a time.")])

    def data(self, data: bytes, start: int, end: int) -> None:
        self.content += memoryview(data)[start:end]

    def end(self) -> None:
        self.complete = True


def one_file(content_type: str, body: bytes) -> bytes:
    """Returns the content of the one part of a multipart body, whatever its name and type.

    Args:
        content_type: the field as it came, with the boundary.
        body: untrusted bytes.

    Raises:
        ProblemError: no boundary, not of the form, cut short, or another number of parts than one.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 0 < len(boundary) <= _MAX_BOUNDARY_BYTES:
        raise ProblemError(INVALID, "The Content-Type of a multipart body names its boundary.")
    found = _OneFile()
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": found.begin,
            "on_part_data": found.data,
            "on_end": found.end,
        },
    )
    try:
        parser.write(body)
        parser.finalize()
    except MultipartParseError:
        raise _broken() from None
    if not found.complete or not found.parts:
        raise _broken()
    return bytes(found.content)


def _broken() -> ProblemError:
    return invalid_fields([("", "The multipart body is not of its form, or is cut short.")])
