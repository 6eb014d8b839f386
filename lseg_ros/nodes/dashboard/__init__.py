# SPDX-License-Identifier: Apache-2.0
"""The dashboard: a page in the browser that shows and steers a segmentation node."""
