# SPDX-License-Identifier: Apache-2.0
"""Labels of photographs, drawn by hand as polygons."""
