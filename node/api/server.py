"""How the application is served: uvicorn, told to keep quiet and to read little at a time."""

from typing import Any, Final

import uvicorn

from node.api.limits import MAX_HEADER_BYTES, MAX_URL_BYTES

_KEEP_ALIVE_S: Final = 30
_SHUTDOWN_S: Final = 10


def server_config(app: Any, **more: Any) -> uvicorn.Config:
    """Returns uvicorn's settings for an application of `node.api.app`.

    No access log, since it holds whole addresses (the guard logs route templates instead); no
    ``Server`` field; no trust in forwarded addresses, since admin answers by the caller's address.

    Args:
        app: the application.
        more: further settings of uvicorn, such as `host` and `port`.
    """
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_SHUTDOWN_S,
        # Room above our own limits, so that it is we who refuse, with a problem document.
        h11_max_incomplete_event_size=2 * (MAX_HEADER_BYTES + MAX_URL_BYTES),
        **more,
    )
