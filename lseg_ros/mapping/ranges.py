# SPDX-License-Identifier: Apache-2.0
"""Ranges and defaults that the map node and the commands share; without slow imports."""

MOST_ANSWERS = 20  # to one text of a query
MINIMUM_SCORE = 0.6  # chosen in benchmark/measure_map.py
MIN_DEPTH = 0.2

# Least and most, in metres.
VOXEL_SIZE = (0.005, 1.0)
MAX_DEPTH = (0.1, 100.0)
FLOOR_HEIGHT = (-1000.0, 1000.0)
APPROACH_DISTANCE = (0.05, 100.0)
ROBOT_RADIUS = (0.0, 10.0)
