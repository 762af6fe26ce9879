"""Who may use the page: by default this machine only, others with a token; no other site, nothing too large.

- A page of another site can make a browser send requests here. Every request must name a host that is this
  server (against DNS rebinding), and what comes from another site is refused (`Origin`, `Sec-Fetch-Site`).
- Served to other machines, each request needs the token: once in the address (`?token=…`), then as a cookie.
- A request larger than the limit is refused before it is read.
- The answers forbid the browser everything that the page does not need.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from isthmus.errors import IsthmusError, UsageError

COOKIE = "isthmus-token"
LOOPBACK_NAMES = frozenset(("localhost", "127.0.0.1", "::1"))
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class RequestTooLargeError(UsageError):
    """A request of more bytes than the page takes."""

    id = "page.too-large"


@dataclass(frozen=True)
class Access:
    """Who may use the page.

    Attributes:
        host: the address that is listened on.
        token: needed with every request; empty on this machine alone.
        max_body_bytes: of one request.
    """

    host: str
    token: str
    max_body_bytes: int

    def knows_host(self, header: str) -> bool:
        """Whether a `Host` header names this server and no name that somebody else may have pointed here."""
        name = _host_name(header)
        if name in LOOPBACK_NAMES or name == self.host.lower():
            return True
        # Addresses cannot be pointed elsewhere, and the name of this machine is its own.
        return bool(self.token) and (_is_address(name) or name == socket.gethostname().lower())


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server at this address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class SafetyLayer:
    """Wraps the application: refuses what `Access` does not allow, and adds the headers."""

    def __init__(self, application: Application, access: Access) -> None:
        self._application = application
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        secure_send = _adding_headers(send, scope["path"])
        try:
            self._check_sender(scope, headers)
            if self._access.token and not _same(_cookie(headers), self._access.token):
                await self._check_token(scope, secure_send)
                return
            _check_length(headers, self._access.max_body_bytes)
        except IsthmusError as error:
            status = 413 if isinstance(error, RequestTooLargeError) else 403
            await _answer(secure_send, status, error)
            return
        await self._application(scope, _counting(receive, self._access.max_body_bytes), secure_send)

    def _check_sender(self, scope: Scope, headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        if not self._access.knows_host(host):
            raise UsageError(
                "this server does not answer to the host name '{host}'", id="page.host", host=host
            )
        origin = headers.get("origin")
        # The browser sends "null" for pages without an origin of their own, such as frames in a sandbox.
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise UsageError("requests from other sites are refused", id="page.origin")
        site = headers.get("sec-fetch-site", "none")
        opens_page = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("same-origin", "none") and not (opens_page and not scope["path"].startswith("/api/")):
            raise UsageError("requests from other sites are refused", id="page.origin")

    async def _check_token(self, scope: Scope, send: Send) -> None:
        """Take the token from the address once and keep it in a cookie; refuse all else."""
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        token = dict(query).get("token", "")
        if scope["method"] != "GET" or not _same(token, self._access.token):
            error = UsageError(
                "this page needs its token: open the address that the server printed", id="page.token"
            )
            await _answer(send, 401, error)
            return
        other_fields = urlencode([(name, value) for name, value in query if name != "token"])
        place = "/" + scope["path"].lstrip("/") + (f"?{other_fields}" if other_fields else "")
        cookie = f"{COOKIE}={self._access.token}; HttpOnly; SameSite=Strict; Path=/"
        location = (b"location", place.encode("latin-1", "replace"))
        fields = [location, (b"set-cookie", cookie.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 303, "headers": fields})
        await send({"type": "http.response.body", "body": b""})


def _check_length(headers: dict[str, str], most: int) -> None:
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > most:
        raise _too_large(most)


def _too_large(most: int) -> RequestTooLargeError:
    return RequestTooLargeError(
        "the file has more than {megabytes} MB", id="page.too-large", megabytes=most // 1_000_000
    )


def _counting(receive: Receive, most: int) -> Receive:
    """Bodies that come in pieces, without a length, end with an error at the limit."""
    received_bytes = 0

    async def receive_counted() -> Message:
        nonlocal received_bytes
        message = await receive()
        received_bytes += len(message.get("body", b""))
        if received_bytes > most:
            raise _too_large(most)
        return message

    return receive_counted


def _adding_headers(send: Send, path: str) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            names = {key.lower() for key, _ in message["headers"]}
            added = {"cache-control": "no-store" if path.startswith("/api/") else "no-cache", **_HEADERS}
            fields = [(key.encode(), value.encode()) for key, value in added.items()]
            message["headers"] = [*message["headers"], *(field for field in fields if field[0] not in names)]
        await send(message)

    return send_with_headers


async def _answer(send: Send, status: int, error: IsthmusError) -> None:
    body = json.dumps({"error": error.to_dict()}).encode()
    fields = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def _cookie(headers: dict[str, str]) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if cookie is None else cookie.value


def _same(text: str, token: str) -> bool:
    return hmac.compare_digest(text.encode("utf-8", "replace"), token.encode())


def _host_name(header: str) -> str:
    """The name without the port, lower-case; of `[::1]:80` it is `::1`."""
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
