"""How public data sets are fetched."""

import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from torchvision.datasets import utils, voc

from vision_apps.core.errors import DataError

VOC_CLASSES = (  # of PASCAL VOC, 2007 to 2012
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
).split()


def remedy(size: str) -> str:
    """What to do where a set that can be fetched is not there, for errors; ``size`` of the download."""
    return f"Download it ({size}): data.download=true    Or say where it is: data.root=/path/to/it"


def download(urls: Sequence[str], folder: Path, name: str, md5: str) -> Path:
    """Fetch ``folder/name`` from the first mirror that answers with the right content, unless it is there
    already. `DataError`, which names them all, where none gave a file with this md5 sum."""
    problems = []
    for url in urls:
        try:
            utils.download_url(url, folder, name, md5)
        except (OSError, RuntimeError) as error:  # no network, no such host or file; a wrong checksum
            problems.append(f"{url}: {error}")
        else:
            return folder / name
    raise DataError(
        f"data.download: {name} could not be fetched\n  "
        + "\n  ".join(problems)
        + f"\n  Fetch it by other means and put it at {(folder / name).absolute()}"
    )


def fetch_voc(years: Iterable[str], root: Path) -> None:
    """Fetch and unpack archives of PASCAL VOC, to ``root/VOCdevkit``. `DataError` where one cannot be fetched
    or unpacked.

    Args:
        years: as torchvision calls them, for instance ``2007-test``.
    """
    for year in years:
        known = voc.DATASET_YEAR_DICT[year]
        unpack(download([known["url"]], root, known["filename"], known["md5"]), root)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar file below ``folder``. `DataError` where a member would lie elsewhere, or is neither a
    file nor a folder."""
    try:
        with tarfile.open(archive) as files:
            if hasattr(tarfile, "data_filter"):
                files.extractall(folder, filter="data")
            else:  # Python before 3.11.4, as Debian 12 has it
                for member in files:
                    _require_below(member)
                files.extractall(folder)
    except tarfile.TarError as error:
        raise DataError(f"{archive}: {error}; nothing outside of {folder} was written") from error


def _require_below(member: tarfile.TarInfo) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
        raise tarfile.TarError(f"{member.name!r} is no file or folder below the one it is unpacked in")
