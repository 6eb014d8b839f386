# SPDX-License-Identifier: Apache-2.0
"""How good a model is: metrics, labelled folders, rooms, calibration, reports."""
