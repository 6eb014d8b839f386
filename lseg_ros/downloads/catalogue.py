# SPDX-License-Identifier: Apache-2.0
"""The weights that ``lseg fetch`` knows: where they come from, under which licence, how large."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lseg_ros.open_encoders import descriptions


@dataclass(frozen=True)
class HubFile:
    """A file in a repository of the Hugging Face hub, which states its SHA-256."""

    name: str  # of the local file
    repository: str
    revision: str  # full hash of a commit
    path: str  # in the repository
    size: int  # bytes, roughly; the hub knows it exactly
    sha256: str = ''  # empty: the one that the hub states for this revision

    @property
    def version(self) -> str:
        """Tell this file from earlier ones under the same name."""
        return self.revision

    @property
    def origin(self) -> str:
        """Where the file comes from, for people."""
        return f'huggingface.co/{self.repository}, {self.path}, revision {self.revision[:12]}'


@dataclass(frozen=True)
class WebFile:
    """A file on any other server."""

    name: str
    url: str
    size: int  # bytes, exactly
    sha256: str

    @property
    def version(self) -> str:
        """Tell this file from earlier ones under the same name."""
        return self.sha256

    @property
    def origin(self) -> str:
        """Where the file comes from, for people."""
        return self.url.removeprefix('https://')


@dataclass(frozen=True)
class DriveFile:
    """A file on Google Drive, which states neither a size beforehand nor a hash."""

    name: str
    url: str
    size: int  # bytes, roughly

    @property
    def version(self) -> str:
        """Tell this file from earlier ones under the same name."""
        return 'drive'

    @property
    def origin(self) -> str:
        """Where the file comes from, for people."""
        return f'{self.name}, {self.url.removeprefix("https://")}'


Source = HubFile | WebFile | DriveFile


@dataclass(frozen=True)
class Download:
    """Weights that can be fetched by name."""

    name: str
    description: str
    licence: str
    sources: tuple[Source, ...]
    kept_size: int  # bytes of the converted file in half precision

    @property
    def size(self) -> int:
        """Bytes to download, roughly."""
        return sum(source.size for source in self.sources)


def format_size(size: float) -> str:
    """Return a number of bytes with two or three digits: `3.1 GB`, `784 MB`."""
    for unit, scale in (('GB', 1e9), ('MB', 1e6), ('kB', 1e3)):
        if size >= 0.9995 * scale:
            number = size / scale
            return f'{number:.1f} {unit}' if number < 9.95 else f'{number:.0f} {unit}'
    return f'{size:.0f} bytes'


_LSEG_LICENCE = 'MIT (the code; the weights state none)'


def _published(name: str, kind: str, source: Source, kept_size: int) -> Download:
    return Download(name, kind, _LSEG_LICENCE, (source,), kept_size)


def _drive(name: str, network: str, purpose: str, file_id: str) -> Download:
    """Describe a checkpoint of LSeg's authors on Google Drive; the sizes are inferred.

    Each is a state dict and the optimizer's state, a float32 for each trained number.
    """
    transformer = network == 'lseg-vitl16'
    source = DriveFile(
        f'{name}.ckpt', f'https://drive.google.com/uc?id={file_id}', 3_100_000_000 if transformer else 900_000_000
    )
    return _published(name, f'{network}, {purpose}', source, 810_000_000 if transformer else 247_000_000)


_LSEG = (
    _published(
        'lseg-vitl16',
        "the paper's ViT-L/16, CLIP text; any words",
        HubFile(
            'demo_e200.ckpt',
            'isl-org/lang-seg',
            '8ac956993cf52c9ba925c8b46965e4fb32b067b8',
            'demo_e200.ckpt',
            3_100_000_000,
        ),
        810_000_000,
    ),
    _drive('demo_e200', 'lseg-vitl16', 'any words; from Google Drive', '1FTuHY1xPUkM-5gaDtMfgCl3D0gR89WV7'),
    _drive('fss_l16', 'lseg-vitl16', 'zero-shot FSS-1000', '1Nplkc_JsHIS55d--K2vonOOC3HrppzYy'),
    _drive('fss_rn101', 'lseg-rn101', 'zero-shot FSS-1000', '1UIj49Wp1mAopPub5M6O4WW-Z79VB1bhw'),
    _drive('pascal_fold0', 'lseg-rn101', 'zero-shot PASCAL-5i, fold 0', '1y4z4_yNGlZtn6osaeN4ZjMs6c0vr0F3m'),
    _drive('pascal_fold1', 'lseg-rn101', 'zero-shot PASCAL-5i, fold 1', '1UZzN8kWkH-G8v6P8xcBXEHRZlQKPRxrX'),
    _drive('pascal_fold2', 'lseg-rn101', 'zero-shot PASCAL-5i, fold 2', '1KCq1JphSMvj8X78bkWbdNIFm5zYzLTMX'),
    _drive('pascal_fold3', 'lseg-rn101', 'zero-shot PASCAL-5i, fold 3', '1A_fllOJqyBg0ZTJcm85Cn0NAcwQbXnhl'),
    _drive('coco_fold0', 'lseg-rn101', 'zero-shot COCO-20i, fold 0', '1nSYO3XtAv4mzWi4x-MFUfk04cpBKJT38'),
    _drive('coco_fold1', 'lseg-rn101', 'zero-shot COCO-20i, fold 1', '1w0vz3yjEi_ZLgECRrgtoLxEHugyJkrs5'),
    _drive('coco_fold2', 'lseg-rn101', 'zero-shot COCO-20i, fold 2', '1wmHtmJLdta18XuWQv6oX9llidCll_HrD'),
    _drive('coco_fold3', 'lseg-rn101', 'zero-shot COCO-20i, fold 3', '1dliBUSOog7taJxMmb9cdefKH4XOKChVJ'),
)


def _open_encoder(name: str, entry: Mapping[str, Any]) -> Download:
    """Return the download that the description of an open encoder contains."""
    fetch = entry['fetch']
    sources = (HubFile(**each) if 'repository' in each else WebFile(**each) for each in fetch['sources'])
    return Download(name, entry['description'], fetch['licence'], tuple(sources), fetch['kept_size'])


_OPEN = (_open_encoder(name, entry) for name, entry in descriptions().items())
DOWNLOADS = MappingProxyType({download.name: download for download in (*_LSEG[:1], *_OPEN, *_LSEG[1:])})
