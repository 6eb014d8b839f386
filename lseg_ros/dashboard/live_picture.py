# SPDX-License-Identifier: Apache-2.0
"""The moving picture of a camera, on which a pixel can be picked."""

from __future__ import annotations

from collections.abc import Callable

from nicegui.element import Element
from nicegui.events import GenericEventArguments


class LivePicture(Element, component='live_picture.js'):
    """Shows the overlay of a camera as fast as the browser takes it."""

    def __init__(self, camera: str, on_pick: Callable[[tuple[float, float] | None], None]) -> None:
        """Show `camera`; `on_pick` gets the place of the mark, each coordinate 0 to 1, or None."""
        super().__init__()
        self.show(camera)

        def pick(event: GenericEventArguments) -> None:
            on_pick((_coordinate(event.args.get('x')), _coordinate(event.args.get('y'))))

        self.on('pick', pick, throttle=0.1)
        self.on('unpick', lambda: on_pick(None))

    def show(self, camera: str) -> None:
        """Change to another camera."""
        self._props['camera'] = camera
        self._props['label'] = f'Overlay of camera {camera}' if camera else 'Overlay of the camera'
        self.update()


def _coordinate(value: object) -> float:
    return min(max(float(value), 0.0), 1.0) if isinstance(value, (int, float)) else 0.0
