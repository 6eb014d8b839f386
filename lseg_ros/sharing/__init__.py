# SPDX-License-Identifier: Apache-2.0
"""Long work on many items: shared by processes and machines, and resumed. Needs no ROS."""
