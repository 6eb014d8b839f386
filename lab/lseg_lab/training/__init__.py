# SPDX-License-Identifier: Apache-2.0
"""Train LSeg on labelled images: vocabulary, data, augmentation, objective and trainer."""
