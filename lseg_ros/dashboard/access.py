# SPDX-License-Identifier: Apache-2.0
"""Who may open the page, and how much a browser may send."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 128 * 1024
MOST_DIGITS = 9  # of a body's length
COOKIE = 'lseg_dashboard'
LOOPBACK_NAMES = frozenset({'localhost', '127.0.0.1', '::1'})
# A name or an address in brackets, and a port; nothing before an @, which would look like the name.
HOST = re.compile(r'(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[\w.-]+))(?::\d{1,5})?', re.ASCII | re.IGNORECASE)
NO_FRAMES = {'X-Frame-Options': 'DENY', 'Content-Security-Policy': "frame-ancestors 'none'"}
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

    Pages of other sites cannot use the browser of somebody who is let in: they may link to the page
    but neither frame nor fetch it. Requests must come from the page itself and, without a token, be
    addressed to this machine by name or loopback address.
    """

    def __init__(self, app: ASGIApp, token: str = '', host: str = '') -> None:
        """Guard `app`; with a `token`, which it must then know, any browser may ask for it.

        `host` is the address that it is served on.
        """
        self._app = app
        self._token = token
        self._proof = hashlib.sha256(token.encode()).hexdigest()
        self._names = LOOPBACK_NAMES | {host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or refuse it; no answer may be shown in a frame."""

        async def send_unframed(message: Message) -> None:
            if message['type'] == 'http.response.start':
                MutableHeaders(scope=message).update(NO_FRAMES)
            await send(message)

        refusal = None
        if scope['type'] in ('http', 'websocket'):
            refusal = await self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send_unframed)
        elif scope['type'] == 'websocket':
            await send({'type': 'websocket.close', 'code': 1008})
        else:
            await refusal(scope, receive, send_unframed)

    async def _refusal(self, scope: Scope) -> Response | None:
        request = HTTPConnection(scope)
        headers = request.headers
        if not self._is_own_site(headers):
            return PlainTextResponse('Requests from other sites are refused.\n', 403)
        if (refusal := _size_refusal(scope, headers)) is not None:
            return refusal
        if not self._token or hmac.compare_digest(request.cookies.get(COOKIE, '').encode(), self._proof.encode()):
            return None
        return await self._log_in(request.query_params)

    def _is_own_site(self, headers: Headers) -> bool:
        hosts, origins = headers.getlist('host'), headers.getlist('origin')
        match = HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None or _is_sent_by_other_page(headers):
            return False
        if any(origin not in (f'http://{hosts[0]}', f'https://{hosts[0]}') for origin in origins):
            return False
        return bool(self._token) or (match['address'] or match['name']).lower() in self._names

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


def _is_sent_by_other_page(headers: Headers) -> bool:
    """Return whether a page of another site asks; following a link there does not count."""
    if headers.get('sec-fetch-site') not in ('cross-site', 'same-site'):
        return False
    return (headers.get('sec-fetch-mode'), headers.get('sec-fetch-dest')) != ('navigate', 'document')


def _size_refusal(scope: Scope, headers: Headers) -> Response | None:
    """Return the answer to a request whose body is too large or of unknown size."""
    if scope['type'] != 'http' or scope['method'] in ('GET', 'HEAD', 'OPTIONS'):
        return None
    length = headers.get('content-length', '')
    if not length.isdecimal():
        return PlainTextResponse('Content-Length is needed.\n', 411)
    if len(length) > MOST_DIGITS or int(length) > MAX_BODY_BYTES:
        return PlainTextResponse(f'At most {MAX_BODY_BYTES} bytes are accepted.\n', 413)
    return None
