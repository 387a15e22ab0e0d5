"""What all public data sets share: how they are fetched and what is said when they are not there."""

from collections.abc import Sequence
from pathlib import Path

from vision_apps.core.errors import DataError


def not_found(title: str, root: Path, expected: str, download: str) -> DataError:
    """The error for a public set that is not on disk.

    Args:
        expected: the layout that would have been recognised.
        download: what the download weighs, for instance ``170 MB``.
    """
    return DataError(
        f"data.root: no {title} in {root.absolute()}\n"
        f"  Expected {expected}.\n"
        f"  Download it ({download}): data.download=true    Or say where it is: data.root=/path/to/it"
    )


def download(urls: Sequence[str], folder: Path, name: str, md5: str) -> Path:
    """Fetch ``folder/name`` from the first mirror that answers with the right content, unless it is there
    already.

    Raises:
        DataError: no mirror gave a file with this md5 sum; names them all.
    """
    from torchvision.datasets.utils import download_url  # slow to import, rarely needed

    problems = []
    for url in urls:
        try:
            download_url(url, folder, name, md5)
        except (OSError, RuntimeError) as error:  # no network, no such host or file; a wrong checksum
            problems.append(f"{url}: {error}")
        else:
            return folder / name
    raise DataError(
        f"data.download: {name} could not be fetched\n  "
        + "\n  ".join(problems)
        + f"\n  Fetch it by other means and put it at {(folder / name).absolute()}"
    )
