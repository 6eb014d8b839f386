# SPDX-License-Identifier: Apache-2.0
"""The camera node: publishes pictures from disk, a video or a webcam."""
