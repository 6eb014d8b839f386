# SPDX-License-Identifier: Apache-2.0
"""A Hugging Face hub on this machine: it answers the real client, and fails on demand."""

from __future__ import annotations

import hashlib
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

REVISION = 'c' * 40


class Hub:
    """Serves `files` as REPOSITORY/PATH at REVISION; `requests` are (method, path, headers)."""

    def __init__(self):
        self.files = {}  # content by 'owner/repository/path'
        self.status = {}  # what to answer to a method instead, by 'HEAD' or 'GET'
        self.stated = {}  # headers instead of the true ones
        self.cuts = []  # after how many bytes to cut the next answers; None: whole
        self.ranges = True  # whether a part of a file can be asked for
        self.requests = []  # with the headers' names in lower case
        self._server = ThreadingHTTPServer(('127.0.0.1', 0), type('Handler', (_Handler,), {'hub': self}))
        self.url = f'http://127.0.0.1:{self._server.server_port}'
        # Another host to the client, which therefore sends no token to it.
        self.content = f'http://localhost:{self._server.server_port}/content'

    def __enter__(self):
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def starts(self):
        """Return at which byte each download of content began."""
        starts = []
        for method, path, headers in self.requests:
            if method == 'GET' and path.startswith('/content/'):
                starts.append(int((re.findall(r'bytes=(\d+)-', headers.get('range', '')) or [0])[0]))
        return starts


class _Handler(BaseHTTPRequestHandler):
    """The hub redirects to where its large files lie, and states their size and SHA-256."""

    protocol_version = 'HTTP/1.1'

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def log_message(self, *_):
        """Stay silent."""

    def _answer(self):
        hub, path = self.hub, urlsplit(self.path).path
        hub.requests.append((self.command, path, {name.lower(): value for name, value in self.headers.items()}))
        name = re.sub(rf'^/content/|^/|resolve/{REVISION}/', '', path)
        if status := hub.status.get(self.command):
            self._send(status, b'refused')
        elif name not in hub.files:
            self._send(404, b'nothing here')
        elif path.startswith('/content/'):
            self._content(hub.files[name])
        else:
            content = hub.files[name]
            headers = {
                'X-Repo-Commit': REVISION,
                'X-Linked-Etag': f'"{hashlib.sha256(content).hexdigest()}"',
                'X-Linked-Size': str(len(content)),
                'Location': f'{hub.content}/{name}',
            }
            self._send(302, b'', {**headers, **hub.stated})

    def _content(self, content):
        start = re.findall(r'bytes=(\d+)-', self.headers.get('Range', ''))
        headers, status = {}, 200
        if start and self.hub.ranges:
            headers = {'Content-Range': f'bytes {start[0]}-{len(content) - 1}/{len(content)}'}
            content, status = content[int(start[0]) :], 206
        cut = self.hub.cuts.pop(0) if self.hub.cuts else None
        self._send(status, content, headers, cut)

    def _send(self, status, content, headers=None, cut=None):
        self.send_response(status)
        for name, value in {'Content-Length': str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == 'GET':
            self.wfile.write(content[:cut])
        if cut is not None:
            self.close_connection = True
