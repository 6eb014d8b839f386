# SPDX-License-Identifier: Apache-2.0
"""Limits of requests to a map; they import nothing slow, so that callers start fast."""

MOST_ANSWERS = 20  # to one text of a query
