# SPDX-License-Identifier: Apache-2.0
"""Labels: syntax, ids, colours and label files. Needs no ROS."""

from lseg_ros.labels.files import read_label_file
from lseg_ros.labels.label_set import LabelClass, LabelSet
from lseg_ros.labels.registry import LabelRegistry
from lseg_ros.labels.syntax import LabelError

__all__ = ['LabelClass', 'LabelError', 'LabelRegistry', 'LabelSet', 'read_label_file']
