# SPDX-License-Identifier: Apache-2.0
"""Furnished rooms from random numbers, rendered with exact labels: training and test data."""
