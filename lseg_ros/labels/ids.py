# SPDX-License-Identifier: Apache-2.0
"""The ids with a fixed meaning in a label image."""

OTHER = 0  # none of the labels
UNLABELLED = 255  # confidence below the threshold, or outside the image
MAX_LABELS = 254  # labels get the ids 1 to MAX_LABELS
