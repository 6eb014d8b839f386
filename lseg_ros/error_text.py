# SPDX-License-Identifier: Apache-2.0
"""Errors as a user reads them."""


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line, or its type if it has none."""
    return ' '.join(filter(None, map(str.strip, str(error).splitlines()))) or type(error).__name__
