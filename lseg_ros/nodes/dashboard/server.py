# SPDX-License-Identifier: Apache-2.0
"""Serves the page and its pictures, in a thread of its own."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
import time
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from nicegui import app as pages
from nicegui import core, ui
from starlette.responses import Response
from starlette.types import ASGIApp

from lseg_ros.dashboard.access import Access
from lseg_ros.dashboard.pictures import JpegCache
from lseg_ros.nodes.dashboard.camera_feeds import OverlayPicture
from lseg_ros.nodes.dashboard.dashboard_settings import DashboardSettings
from lseg_ros.nodes.dashboard.map_link import MapLink
from lseg_ros.nodes.dashboard.page import build_page
from lseg_ros.nodes.dashboard.robot import Robot

FRAME_WAIT_S = 3.0
MAX_MESSAGE_BYTES = 256 * 1024  # over the web socket
STATIC = Path(__file__).parent / 'static'
FAVICON = STATIC / 'icon.svg'


class DashboardServer:
    """The web server of the dashboard; there is one in a process."""

    def __init__(self, robot: Robot, link: MapLink, settings: DashboardSettings) -> None:
        """Bind the socket and start serving; raise OSError if the address cannot be used."""
        self._robot = robot
        self._link = link
        self._cache = JpegCache()
        self._new_picture = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        token = '' if settings.is_loopback else settings.token or secrets.token_urlsafe(12)
        self._socket = listen(settings.host, settings.port)
        self.address = _address(settings.host, self._socket.getsockname()[1], token)
        config = uvicorn.Config(
            Access(self._application(), token, settings.host),
            log_level='warning',
            access_log=False,
            ws_max_size=MAX_MESSAGE_BYTES,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name='dashboard server', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the server."""
        self._server.should_exit = True
        self._thread.join()

    def _serve(self) -> None:
        self._server.run([self._socket])

    def _application(self) -> ASGIApp:
        application = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        pages.add_api_route('/frame', self._frame, response_class=Response)
        pages.on_startup(self._connect)
        core.sio.eio.max_http_buffer_size = MAX_MESSAGE_BYTES
        ui.page('/')(lambda: build_page(self._robot, self._link))  # a root page would answer to every path
        ui.run_with(
            application,
            title='lseg_ros',
            favicon=FAVICON,
            dark=None,
            tailwind=False,
            language='en-US',
            show_welcome_message=False,
            binding_refresh_interval=None,
        )
        return application

    def _connect(self) -> None:
        """Hear of new pictures; this runs in the event loop."""
        self._loop = asyncio.get_running_loop()
        self._robot.on_picture = self._announce

    def _announce(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._new_picture.set()
        self._new_picture = asyncio.Event()

    async def _frame(self, camera: str = '', after: str = '', width: int = 640) -> Response:
        """Answer with the newest picture once it is another than `after`; 204: there is none yet.

        The browser asks for the next one when it has shown the last, so it gets as many as it
        takes and never an old one.
        """
        try:
            picture = await asyncio.wait_for(self._picture_after(camera, after), FRAME_WAIT_S)
        except asyncio.TimeoutError:
            return Response(status_code=204)
        data = await asyncio.to_thread(self._cache.encode, picture.number, picture.pixels, max(width, 1))
        age_ms = round(1000 * (time.monotonic() - picture.arrived_s))
        headers = {'X-Picture': str(picture.number), 'X-Age-Ms': str(age_ms), 'Cache-Control': 'no-store'}
        return Response(data, media_type='image/jpeg', headers=headers)

    async def _picture_after(self, camera: str, after: str) -> OverlayPicture:
        while True:
            event = self._new_picture
            feeds = self._robot.camera(camera)
            picture = feeds.picture if feeds else None
            if picture is not None and str(picture.number) != after:
                return picture
            await event.wait()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address; raise OSError, with the remedy, if it cannot."""
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f'port {port} of host {host!r}: {reason}; set the parameters port and host') from error


def _address(host: str, port: int, token: str) -> str:
    """Return what to type into a browser."""
    if host in ('0.0.0.0', '::'):
        host = socket.gethostname()
    name = f'[{host}]' if ':' in host else host
    return f'http://{name}:{port}/' + (f'?token={token}' if token else '')
