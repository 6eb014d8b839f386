# SPDX-License-Identifier: Apache-2.0
"""Label sets as messages."""

from __future__ import annotations

from rclpy.time import Time
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import LabelInfo, VisionClass

from lseg_ros.labels import LabelClass, LabelSet
from lseg_ros.labels.ids import MAX_LABELS
from lseg_ros.labels.syntax import quote
from lseg_ros.msg import LabelClass as LabelClassMessage
from lseg_ros.msg import LabelSet as LabelSetMessage


def label_set_to_message(labels: LabelSet, since_ns: int) -> LabelSetMessage:
    """Return the table as a message, valid for images stamped at or after `since_ns`."""
    return LabelSetMessage(
        header=_header(since_ns),
        classes=[
            LabelClassMessage(
                id=label.id,
                name=label.name,
                prompts=list(label.prompts),
                color=_color(label.color),
                groups=list(label.groups),
            )
            for label in labels.classes
        ],
    )


def label_set_from_message(message: LabelSetMessage) -> LabelSet:
    """Return the table of a message; raise ValueError if it is not one."""
    return LabelSet(tuple(map(_label_class, message.classes)))


def _label_class(message: LabelClassMessage) -> LabelClass:
    """Return the class of a message; raise ValueError, with its name, if it cannot be one."""
    color = message.color.r, message.color.g, message.color.b
    faults = {
        f'the id {message.id}, which means unlabelled': message.id > MAX_LABELS,
        'no prompts': not message.prompts,
        f'the colour {color}, not 0 to 1': not all(0 <= channel <= 1 for channel in color),
    }
    if found := [fault for fault, is_there in faults.items() if is_there]:
        raise ValueError(f'label {quote(message.name)} has {" and ".join(found)}')
    red, green, blue = (round(255 * channel) for channel in color)
    return LabelClass(message.id, message.name, tuple(message.prompts), (red, green, blue), tuple(message.groups))


def label_set_to_label_info(labels: LabelSet, since_ns: int, threshold: float) -> LabelInfo:
    """Return the names of the ids as a LabelInfo; `threshold` is a confidence in [0, 1].

    Retired names are included, so that consumers still understand earlier label images.
    """
    names = sorted([*labels.retired, *((label.id, label.name) for label in labels.classes)])
    return LabelInfo(
        header=_header(since_ns),
        threshold=threshold,
        class_map=[VisionClass(class_id=class_id, class_name=name) for class_id, name in names],
    )


def _header(stamp_ns: int) -> Header:
    return Header(stamp=Time(nanoseconds=stamp_ns).to_msg())


def _color(rgb: tuple[int, int, int]) -> ColorRGBA:
    red, green, blue = (channel / 255.0 for channel in rgb)
    return ColorRGBA(r=red, g=green, b=blue, a=1.0)
