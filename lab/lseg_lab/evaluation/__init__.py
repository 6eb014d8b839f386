# SPDX-License-Identifier: Apache-2.0
"""Evaluate models: metrics, labelled folders, rendered rooms, benchmarks, calibration."""
