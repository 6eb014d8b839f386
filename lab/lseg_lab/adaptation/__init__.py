# SPDX-License-Identifier: Apache-2.0
"""Adaptation: a small network learns to see one building as a large one does, without labels."""
