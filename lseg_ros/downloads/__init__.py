# SPDX-License-Identifier: Apache-2.0
"""Fetches weights for ``lseg fetch``, which alone uses the internet, and knows where they lie.

It knows nothing of networks: what turns the downloaded files into weights is passed to it.
"""
