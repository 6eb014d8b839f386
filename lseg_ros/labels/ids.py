# SPDX-License-Identifier: Apache-2.0
"""The ids of a label image that have a fixed meaning."""

OTHER = 0  # none of the labels asked for
UNLABELLED = 255  # not decided: confidence below the threshold, or no pixel of the image
MAX_LABELS = 254  # labels get ids 1 to this
