# SPDX-License-Identifier: Apache-2.0
"""Bundle everything needed to furnish one room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lseg_lab.rooms.arrange import Arrangement
from lseg_lab.rooms.clutter import Clutter
from lseg_lab.rooms.piece import Piece
from lseg_lab.rooms.plan import Wall
from lseg_lab.rooms.stock import Stock
from lseg_lab.rooms.style import Style


@dataclass(frozen=True, eq=False)
class RoomContext:
    """A room's style, available pieces, arrangement and clutter."""

    style: Style
    stock: Stock
    arrangement: Arrangement
    clutter: Clutter

    @property
    def rng(self) -> np.random.Generator:
        """Return the generator that every draw for this room comes from."""
        return self.style.rng

    def wall_piece(
        self, label: str, wall: Wall | None = None, u: float | None = None
    ) -> tuple[Wall, float, Piece] | None:
        """Stand a piece with clutter on it against a wall.

        Return the wall, the position along it and the piece, or None if there is no room.
        """
        piece = self.stock.piece(label)
        if piece is None or piece.size[1] + piece.elevation > self.arrangement.room.height:
            return None
        gap = 0.03 if self.rng.random() < 0.75 else self.rng.uniform(0.03, 0.35)
        found = self.arrangement.against_wall(piece, wall, u, gap)
        if found is None:
            return None
        wall, u = found
        self.clutter.cover(piece, wall.frame(u, piece.elevation, piece.size[2] / 2 + gap))
        return wall, u, piece

    def open_piece(self, label: str, turn: float | None = None) -> None:
        """Stand a piece with clutter on it somewhere in the open, if there is room."""
        piece = self.stock.piece(label)
        if piece is None or piece.size[1] > self.arrangement.room.height:
            return
        pose = self.arrangement.in_the_open(piece, turn)
        if pose is not None:
            self.clutter.cover(piece, pose)
