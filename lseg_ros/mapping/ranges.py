# SPDX-License-Identifier: Apache-2.0
"""Limits and defaults of requests to a map; without slow imports, so that callers start fast."""

MOST_ANSWERS = 20  # to one text of a query
MINIMUM_SCORE = 0.6  # chosen in benchmark/measure_map.py
