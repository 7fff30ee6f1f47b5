"""What `bench upload` measures a look-up against: an endpoint of FastAPI that does nothing.

It is written as one is written in an afternoon: a body of pydantic models, a plain function, an
answer of a pydantic model; no key, no limits, no list, no audit, no log. Served by uvicorn as the
node is, on a socket that several processes may inherit. Started as
``python -m node.bench.empty_server SOCKET``.
"""

import socket
import sys
from typing import Final

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from node.api.server import server_config

PATH: Final = "/empty"
"""Where it answers."""


class Item(BaseModel):
    """The media hashes of one upload."""

    pdq: str
    quality: int


class Question(BaseModel):
    """A body of the same form as a look-up's."""

    surface: str
    items: list[Item]


class Answer(BaseModel):
    """As short as an answer can be."""

    decision: str


app = FastAPI()


@app.post(PATH)
def empty(question: Question) -> Answer:  # noqa: ARG001  # that it is parsed is the point
    """Looks nothing up."""
    return Answer(decision="none")


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        uvicorn.Server(server_config(app)).run([listening])
