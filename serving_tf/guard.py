"""Who may ask: somebody with the token, from this page, of this host. Pure ASGI, before anything is read."""

import hmac
from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "ctmri"
_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; worker-src 'self' blob:; "
    "connect-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_OTHER_NAME = "this page does not answer to that name; use the address that serve.py printed"
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_CHANGES_NOTHING = ("GET", "HEAD")


class Guard:
    """Lets requests through that may come through.

    A browser's page of another site can send requests here, but neither read the token nor, with a name of its own that
    was made to lead here (DNS rebinding), say another Host.

    Args:
        app: what is guarded.
        token: that every request shows: in the address once, then as cookie, or as ``Authorization: Bearer``.
        hosts: what ``Host`` may be.
        largest: bytes of a request's body.
    """

    def __init__(self, app: ASGIApp, *, token: str, hosts: Iterable[str], largest: int):
        self._app, self._token, self._hosts, self._largest = app, token, frozenset(hosts), largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, marked)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        if headers.get("host", "").lower() not in self._hosts:
            return PlainTextResponse(_OTHER_NAME, 421)
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        if path == "/" and method in _CHANGES_NOTHING and given:
            if not self._is_token(given):
                return _refused(401, "not the token of this page; use the address that serve.py printed")
            answer = RedirectResponse("/", 303)
            # Not under a shared name: cookies know no ports.
            # Lax: a strict one is lost on the way from another site's link, and Origin is asked for anyway.
            answer.set_cookie(self._cookie(headers), given, httponly=True, samesite="lax")
            return answer
        if not self._is_token(self._shown(headers)):
            return _refused(401, "no token; use the address that serve.py printed, or Authorization: Bearer TOKEN")
        if method not in _CHANGES_NOTHING:
            origin = headers.get("origin")
            if origin is not None and urlsplit(origin).netloc.lower() not in self._hosts:
                return _refused(403, "from another site")
            length = headers.get("content-length", "")
            if "transfer-encoding" in headers or (method != "DELETE" and not length.isdigit()):
                return _refused(411, "a request without Content-Length")
            if length.isdigit() and int(length) > self._largest:
                return _refused(413, f"more than {self._largest >> 20} MB; serve.py --largest MB raises the limit")
        return None

    def _shown(self, headers: Headers) -> str:
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return value.strip()
        # Cookies know no ports: what other programs of this machine have set must not hide ours.
        return cookie_parser(headers.get("cookie", "")).get(self._cookie(headers), "")

    def _cookie(self, headers: Headers) -> str:
        return f"{COOKIE}-{headers.get('host', '').rpartition(':')[2]}"

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._token.encode())


def _refused(status: int, why: str) -> JSONResponse:
    return JSONResponse({"detail": why}, status)
