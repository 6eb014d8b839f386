# SPDX-License-Identifier: Apache-2.0
"""Generate furnished rooms and render them with exact labels, for training and testing."""
