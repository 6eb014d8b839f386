# SPDX-License-Identifier: Apache-2.0
"""What the dashboard is made of that needs no ROS: pictures, access, and parts of its page."""
