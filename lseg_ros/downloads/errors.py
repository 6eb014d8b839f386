# SPDX-License-Identifier: Apache-2.0
"""The error of a download that cannot be had."""


class FetchError(ValueError):
    """A download failed; the message says why and what to do, in one line."""
