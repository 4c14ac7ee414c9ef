"""Where everything is kept that can be made again: prepared slices, and what was seen of files."""

import os
from pathlib import Path

CACHE_VARIABLE = "CT_MRI_CACHE"
"""Environment variable that names the cache folder."""


def cache_folder(given: str = "") -> Path:
    """The folder of the cache: the given one, that of the environment, or the user's."""
    if given or os.environ.get(CACHE_VARIABLE):
        return Path(given or os.environ[CACHE_VARIABLE])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ct-mri-cyclegan"
