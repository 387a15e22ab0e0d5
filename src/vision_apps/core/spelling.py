"""Names of files and folders, which systems spell differently."""

import unicodedata


def alike(name: str) -> str:
    """The name with each accent in one character with its letter: some systems and archives make two of them,
    and both are the same name."""
    return unicodedata.normalize("NFC", name)
