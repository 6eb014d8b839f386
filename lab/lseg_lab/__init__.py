# SPDX-License-Identifier: Apache-2.0
"""The lab of lseg_ros: render rooms, train networks and score them."""
