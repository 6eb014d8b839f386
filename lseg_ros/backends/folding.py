# SPDX-License-Identifier: Apache-2.0
"""The image side of a network in fewer operations, with the same result up to rounding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from copy import deepcopy
from typing import Any

import torch
from timm.layers import Conv2dSame
from timm.models.vision_transformer import Block, LayerScale
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lseg_ros.backends.base import pad
from lseg_ros.model.lseg import LSeg


class FoldedNetwork(nn.Module):
    """Maps uint8 RGB images [B, H, W, 3] to unit embeddings, float32 [B, E, h, w].

    Batch normalisations that follow a convolution are folded into it, and layer scales into the
    linear layers that they follow; padding is constant. The decoder's last layer, a 1x1
    convolution x -> W x + b from N to D > N + 1 channels, is rotated so that only the E = N + 1
    dimensions its results can span are computed. With W = Q R, and Q' the columns of Q and the
    component of b orthogonal to them, embeddings and text keep their inner products when both are
    multiplied by Q'^T. Norms and cosines stay the same; text is rotated once (`project`).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: LSeg, dtype: torch.dtype) -> None:
        """Copy the image side of `model`, on its device, with layers in `dtype`."""
        super().__init__()
        self.stride = model.stride
        self.dtype = dtype
        for name in ('mean', 'std'):
            value = torch.tensor(getattr(model, name), device=model.device)
            self.register_buffer(name, 255 * value[:, None, None], persistent=False)
        layers = deepcopy(nn.Sequential(model.image_encoder, model.decoder))
        with torch.no_grad():
            example = torch.zeros(1, 3, 2 * self.stride, 2 * self.stride, device=model.device, dtype=model.dtype)
            fold_batch_norms(layers, example)
            fold_layer_scales(layers)
            fix_same_padding(layers)
            self.basis, self.across = _rotate(layers[1])
        self.layers = layers.to(dtype)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        pixels = pad((images.permute(0, 3, 1, 2) - self.mean) / self.std, self.stride)
        x = self.layers(pixels.to(self.dtype)).float()
        if self.across is None:
            return nn.functional.normalize(x, dim=1)
        scale = torch.rsqrt((x * x).sum(1, keepdim=True) + self.across**2)
        return torch.cat([x * scale, self.across * scale], 1)

    def project(self, text: Tensor) -> Tensor:
        """Return text [K, D] as rows [K, E], in its dtype."""
        if self.basis is None:
            return text
        return (text.float() @ self.basis.to(text.device)).to(text.dtype)

    def restore(self, embeddings: Tensor) -> Tensor:
        """Return the model's own embeddings, [B, D, h, w], from those of `forward`."""
        if self.basis is None:
            return embeddings
        return torch.einsum('behw,de->bdhw', embeddings, self.basis)


def fold_batch_norms(network: nn.Module, *example: Tensor) -> None:
    """Fold, in place, each batch normalisation into the convolution that feeds it.

    Running `network` on `example` shows which those are. The folded layers are in float32. For
    evaluation mode only.
    """
    names = {module: name for name, module in network.named_modules()}
    for convolution, norm in _pairs(network, example):
        fused = fuse_conv_bn_eval(convolution.float(), norm.float())
        convolution.weight, convolution.bias = fused.weight, fused.bias
        parent, _, name = names[norm].rpartition('.')
        # timm's normalisations include the activation.
        setattr(network.get_submodule(parent), name, getattr(norm, 'act', nn.Identity()))


def fold_layer_scales(network: nn.Module) -> None:
    """Fold, in place, the layer scales of timm's transformer blocks into the layers before them."""
    blocks: Iterator[Any] = (module for module in network.modules() if isinstance(module, Block))
    for block in blocks:
        for name, layer in (('ls1', block.attn.proj), ('ls2', block.mlp.fc2)):
            scale = getattr(block, name)
            if isinstance(scale, LayerScale):
                gamma = scale.gamma.float()
                layer.weight = _fixed(layer.weight.float() * gamma[:, None])
                layer.bias = _fixed(layer.bias.float() * gamma)
                setattr(block, name, nn.Identity())


def fix_same_padding(network: nn.Module) -> None:
    """Replace, in place, timm's convolutions with TensorFlow's 'same' padding by plain ones.

    They compute their padding from each image. For maps whose sides are multiples of the strides,
    which `pad` sees to, it is always the same, and compilers merge it into the convolution.
    """
    found = [(name, module) for name, module in network.named_modules() if type(module) is Conv2dSame]
    for name, layer in found:
        down, across = (
            max(0, dilation * (kernel - 1) + 1 - stride)
            for kernel, stride, dilation in zip(layer.kernel_size, layer.stride, layer.dilation)
        )
        parent, _, own_name = name.rpartition('.')
        padding = nn.ZeroPad2d((across // 2, across - across // 2, down // 2, down - down // 2))
        setattr(network.get_submodule(parent), own_name, nn.Sequential(padding, _plain(layer)))


def _plain(layer: nn.Conv2d) -> nn.Conv2d:
    """Return a convolution with the weights of `layer`, and without padding."""
    plain = nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,  # type: ignore[arg-type]  # a tuple of any length, to mypy
        layer.stride,  # type: ignore[arg-type]
        dilation=layer.dilation,  # type: ignore[arg-type]
        groups=layer.groups,
    )
    plain.weight, plain.bias = layer.weight, layer.bias
    return plain


def _pairs(network: nn.Module, example: tuple[Tensor, ...]) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Yield the convolutions that run once, with the batch normalisation that each feeds."""
    made: list[tuple[nn.Conv2d, Tensor]] = []
    taken: list[tuple[nn.BatchNorm2d, Tensor]] = []
    with ExitStack() as hooks:
        for module in network.modules():
            if type(module) in (nn.Conv2d, Conv2dSame):  # other kinds change their weights as they run
                hooks.enter_context(
                    module.register_forward_hook(lambda module, _, result: made.append((module, result)))
                )
            elif isinstance(module, nn.BatchNorm2d):
                hooks.enter_context(
                    module.register_forward_pre_hook(lambda module, given: taken.append((module, given[0])))
                )
        network(*example)
    runs = Counter(module for module, _ in made)
    for norm, given in taken:
        for convolution, result in made:
            if result is given and runs[convolution] == 1:
                yield convolution, norm


def _fixed(value: Tensor) -> nn.Parameter:
    return nn.Parameter(value, requires_grad=False)


def _rotate(decoder: nn.Module) -> tuple[Tensor | None, float | None]:
    """Rotate, in place, the last layer of `decoder` (see FoldedNetwork).

    Return Q' [D, E] and the length of the bias orthogonal to Q: None without a bias, and both None
    if rotating would save nothing.
    """
    layer = getattr(decoder, 'projection', None)
    if layer is None or layer.out_channels <= layer.in_channels + 1:
        return None, None
    weight = layer.weight[:, :, 0, 0].double()
    basis, triangle = torch.linalg.qr(weight)
    across = None
    if layer.bias is not None:
        bias = layer.bias.double()
        inside = basis.T @ bias
        outside = bias - basis @ inside
        across = outside.norm()
        basis = torch.cat([basis, (outside / across)[:, None]], 1)
        layer.bias = _fixed(inside.float())
    layer.weight = _fixed(triangle[:, :, None, None].float())
    layer.out_channels = layer.in_channels
    return basis.float(), across if across is None else across.item()
