# SPDX-License-Identifier: Apache-2.0
"""The LSeg network in plain PyTorch: load a named model or a file, encode prompts, segment."""

from lseg_ros.model.checkpoint import CheckpointError, save
from lseg_ros.model.lseg import LSeg, LSegConfig
from lseg_ros.model.zoo import MODELS, ModelSpec, build, load, outline

__all__ = ['MODELS', 'CheckpointError', 'LSeg', 'LSegConfig', 'ModelSpec', 'build', 'load', 'outline', 'save']
