# SPDX-License-Identifier: Apache-2.0
"""``lseg call``: the services of running nodes, from a terminal."""
