# SPDX-License-Identifier: Apache-2.0
"""Training of LSeg on labelled images: vocabulary, data, augmentation, objective, trainer."""
