# SPDX-License-Identifier: Apache-2.0
"""Outdoor scenes: streets, parks and car parks with buildings, vegetation, vehicles and weather."""
