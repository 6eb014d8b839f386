# SPDX-License-Identifier: Apache-2.0
"""A small network in the layout of TIPSv2, with weights that are a function of their keys."""

from pathlib import Path

from filled import filled_open, tips_shapes
from safetensors.torch import save_file

from lseg_ros.model import checkpoint, downloaded, open_files, zoo
from lseg_ros.model.open_networks import open_networks, parse_network

NAME = 'tiny-tips'
TOKENIZER = Path(__file__).parent / 'data' / 'sentencepiece.model'
TINY = {
    'description': 'a small TIPS',
    'config': {'mean': [0.0] * 3, 'std': [1.0] * 3, 'temperature': 0.01, 'input_size': 112},
    'image': {
        'timm_name': 'vit_base_patch14_reg1_tipsv2',
        'positions': 'bilinear',
        'last_block': 'value',
        'timm_arguments': {'embed_dim': 48, 'depth': 2, 'num_heads': 4},
    },
    'text': {
        'kind': 'tips',
        'dim': 48,
        'layers': 2,
        'heads': 4,
        'feedforward': 96,
        'vocabulary': 600,
        'templates': ['a photo of a {}.', 'art of the {}.', '{}'],
    },
    'files': {
        'image': {'file': 'model.safetensors', 'prefix': 'vision_encoder.'},
        'text': {'file': 'model.safetensors', 'prefix': 'text_encoder.'},
        'tokenizer': {'file': 'tokenizer.model'},
    },
    'known_ids': {'a photo of a chair.': [263, 489, 562, 306, 263, 427, 573]},
}


def make_known(monkeypatch):
    """Add the network to those that the package describes, as tiny-tips."""
    known = {**open_networks(), NAME: parse_network(NAME, TINY)}
    for module in (downloaded, zoo, open_files):
        monkeypatch.setattr(module, 'open_networks', lambda: known)


def write_published(folder):
    """Write the network's files as its authors would publish them; return their paths by name."""
    save_file(filled_open(tips_shapes(48, 2, 2, 96, 600)), folder / 'model.safetensors')
    (folder / 'tokenizer.model').write_bytes(TOKENIZER.read_bytes())
    return {name: folder / name for name in ('model.safetensors', 'tokenizer.model')}


def convert(published, path):
    """Write the weights file of the published files to `path`, and return it."""
    with open_files.outline_published(NAME, published) as (model, stored):
        checkpoint.convert(model, stored, path)
    return path
