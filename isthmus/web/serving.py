"""`serve`: one page with every use, until Ctrl-C.

isthmus.serve("photos.safetensors", data="photos/")
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from isthmus.api.served_pages import ServedPage
from isthmus.errors import IsthmusError, MissingExtraError, UsageError
from isthmus.log import log_note

if TYPE_CHECKING:
    import uvicorn

PathLike = str | os.PathLike[str]
MAX_CONNECTIONS = 256


def serve(
    models: PathLike | Sequence[PathLike] = (),
    *,
    data: PathLike | None = None,
    out: PathLike = ".",
    host: str = "127.0.0.1",
    port: int = 8017,
    token: str | None = None,
    max_megabytes: int = 64,
    max_megapixels: float = 24,
    minutes: float | None = None,
) -> ServedPage:
    """Open a page for every use in the browser: look, explore, compress, repair, find, train.

    It needs the extra `web`. Only this machine can open it; at another `host` a token is needed, which is
    part of the address that is shown. Ctrl-C ends it; a training on the page then saves its state.

    Args:
        models: model files, or names of shipped models, which are there in any case.
        data: a folder of images to choose from, and to train on. Nothing is written to it.
        out: folder for models that are trained on the page.
        host: address to listen at; 0.0.0.0 is all addresses of this machine.
        port: number of the port; 0 takes a free one.
        token: what others need to open the page; by default a new one at every start, on this machine none.
        max_megabytes: larger uploads are refused.
        max_megapixels: larger images are refused before they are decoded.
        minutes: end by itself after this time.

    Raises:
        MissingExtraError: the extra `web` is not installed.
        UsageError: no folder at `data`, a model that is none, or an address that cannot be listened at.

    Examples:
        >>> import isthmus
        >>> isthmus.serve(port=0, minutes=0).requests  # doctest: +SKIP
        0
    """
    try:
        import uvicorn

        from isthmus.web.application import create_application
    except ImportError as error:
        if (error.name or "").startswith("isthmus"):
            raise
        raise MissingExtraError("serving the page", "web") from None
    from isthmus.web.page import Page
    from isthmus.web.safety import Access, is_loopback

    sources = [models] if isinstance(models, (str, os.PathLike)) else list(models)
    names = [os.fspath(source) for source in sources]
    _check("max_megabytes", max_megabytes, 1)
    _check("max_megapixels", max_megapixels, 0.01)
    if minutes is not None:
        _check("minutes", minutes, 0)
    if token is None:
        token = "" if is_loopback(host) else secrets.token_urlsafe(24)
    elif (
        len(token) < 8
        or not token.isascii()
        or not all(character.isalnum() or character in "-_.~" for character in token)
    ):
        raise UsageError(
            "a token needs at least 8 letters, digits, hyphens or underscores", id="page.weak-token"
        )
    page = Page(names, data, out, max_pixels=round(max_megapixels * 1e6))
    access = Access(host, token, max_megabytes * 1_000_000)
    listener = _listen(host, port)
    url = _address(host, listener.getsockname()[1])
    application = create_application(page, access)
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=3,
        ws="none",
    )
    log_note(
        "the page is at {url}; Ctrl-C ends it",
        id="page.address",
        url=url + (f"/?token={token}" if token else ""),
    )
    began = time.monotonic()
    server = uvicorn.Server(config)
    until = None if minutes is None else began + 60 * minutes
    try:
        _run(server, listener, lambda: until is not None and time.monotonic() >= until)
    finally:
        listener.close()
        page.close()
    return ServedPage(
        url=url,
        models=tuple(names),
        data=None if data is None else os.fspath(data),
        requests=server.server_state.total_requests,
        seconds=round(time.monotonic() - began, 3),
    )


def _run(server: uvicorn.Server, listener: socket.socket, is_over: Callable[[], bool]) -> None:
    """Serve until Ctrl-C, SIGTERM, or the time is over."""
    import asyncio

    async def watch() -> None:
        while not is_over() and not server.should_exit:
            await asyncio.sleep(0.1)
        server.should_exit = True

    async def serve_and_watch() -> None:
        watching = asyncio.create_task(watch())
        await server.serve(sockets=[listener])
        await watching

    try:
        asyncio.run(serve_and_watch())
    except KeyboardInterrupt:  # uvicorn raises the signal again after it has ended in good order
        if not server.started:
            raise


def _listen(host: str, port: int) -> socket.socket:
    if isinstance(port, bool) or not 0 <= port <= 65535:
        raise UsageError("port={port}: expected a number from 0 to 65535", id="page.port", port=port)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by its number: only then asyncio sends at once what is written (TCP_NODELAY). Without it
    # the body of each answer waits about 40 ms for the acknowledgement of its head.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(MAX_CONNECTIONS)  # from now on the address that is shown can be opened
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from None
    return listener


def _cannot_listen(host: str, port: int, error: OSError) -> IsthmusError:
    return UsageError(
        "cannot listen at {host}:{port}: {reason}",
        id="page.address-in-use",
        hint="another --port, or 0 for a free one",
        host=host,
        port=port,
        reason=error.strerror or str(error),
    )


def _address(host: str, port: int) -> str:
    visible_host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    return f"http://[{visible_host}]:{port}" if ":" in visible_host else f"http://{visible_host}:{port}"


def _check(name: str, value: Any, least: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
        raise UsageError(
            "{name}={value}: expected at least {least:g}",
            id="page.option",
            name=name,
            value=value,
            least=least,
        )
