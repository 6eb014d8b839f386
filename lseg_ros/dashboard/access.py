# SPDX-License-Identifier: Apache-2.0
"""Who may open the page, and how much a browser may send."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, QueryParams
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_BODY_BYTES = 128 * 1024
COOKIE = 'lseg_dashboard'
LOOPBACK_NAMES = frozenset({'localhost', '127.0.0.1', '::1'})
WRONG_TOKEN_DELAY_S = 1.0
LOGIN_PAGE = """<!doctype html><html lang="en"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>lseg_ros dashboard</title>
<body style="font: 16px system-ui; max-width: 30em; margin: 15vh auto; padding: 0 1em">
<h1 style="font-size: 1.3em">lseg_ros dashboard</h1>
<p>{reason} The dashboard printed the token when it started.</p>
<form><label>Token <input name="token" type="password" maxlength="256" autofocus></label>
<button>Open</button></form>"""


class Access:
    """ASGI middleware that lets in browsers of this machine or, with a `token`, those that know it.

    Pages of other sites cannot use the browser of somebody who is let in: requests must come from
    the page itself and, without a token, be addressed to this machine by name or loopback address.
    """

    def __init__(self, app: ASGIApp, token: str = '', host: str = '') -> None:
        """Guard `app`; with a `token`, which it must then know, any browser may ask for it.

        `host` is the address that it is served on.
        """
        self._app = app
        self._token = token
        self._proof = hashlib.sha256(token.encode()).hexdigest()
        self._names = LOOPBACK_NAMES | {host}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or refuse it."""
        refusal = None
        if scope['type'] in ('http', 'websocket'):
            refusal = await self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope['type'] == 'websocket':
            await send({'type': 'websocket.close', 'code': 1008})
        else:
            await refusal(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        request = HTTPConnection(scope)
        headers = request.headers
        if not self._is_own_site(headers):
            return PlainTextResponse('Requests from other sites are refused.\n', 403)
        if (refusal := _size_refusal(scope, headers)) is not None:
            return refusal
        if not self._token or hmac.compare_digest(request.cookies.get(COOKIE, ''), self._proof):
            return None
        return await self._log_in(request.query_params)

    def _is_own_site(self, headers: Headers) -> bool:
        host = headers.get('host', '')
        origin = headers.get('origin')
        if origin is not None and urlsplit(origin).netloc != host:
            return False
        return bool(self._token) or urlsplit(f'//{host}').hostname in self._names

    async def _log_in(self, query: QueryParams) -> Response:
        given = query.get('token')
        if given is None:
            return HTMLResponse(LOGIN_PAGE.format(reason='A token is needed.'), 401)
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            await asyncio.sleep(WRONG_TOKEN_DELAY_S)
            return HTMLResponse(LOGIN_PAGE.format(reason='This is not the token.'), 401)
        response = RedirectResponse('.', 303)
        response.set_cookie(COOKIE, self._proof, httponly=True, samesite='lax')
        return response


def _size_refusal(scope: Scope, headers: Headers) -> Response | None:
    """Return the answer to a request whose body is too large or of unknown size."""
    if scope['type'] != 'http' or scope['method'] in ('GET', 'HEAD', 'OPTIONS'):
        return None
    length = headers.get('content-length', '')
    if not length.isdecimal():
        return PlainTextResponse('Content-Length is needed.\n', 411)
    if int(length) > MAX_BODY_BYTES:
        return PlainTextResponse(f'At most {MAX_BODY_BYTES} bytes are accepted.\n', 413)
    return None
