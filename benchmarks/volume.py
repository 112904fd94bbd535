# SPDX-License-Identifier: Apache-2.0
"""A fresh filesystem for the run: on a used one, creating files soon after many were deleted is
several times slower, and what is measured is the past of the disk.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def fresh_volume(parent: Path | None, size_bytes: int, *, wants_image: bool) -> Iterator[Path]:
    """Gives an empty folder for one run and removes it with all in it.

    Args:
        parent: Where to make it; None takes the system's temporary folder.
        size_bytes: Size of the image's filesystem; the file behind it is sparse.
        wants_image: Put an ext4 filesystem of its own there, in a file, mounted for this run
            (root only, and in a mount namespace of the run's own: see ``network``).

    Raises:
        subprocess.CalledProcessError: The image cannot be made or mounted; stderr tells why.
    """
    home = Path(tempfile.mkdtemp(prefix="drystone-benchmark-", dir=parent))
    try:
        if not wants_image:
            yield home
            return
        image, folder = home / "image", home / "volume"
        folder.mkdir()
        with image.open("wb") as file:
            file.truncate(size_bytes)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, folder], check=True)
        try:
            (folder / "lost+found").rmdir()
            yield folder
        finally:
            os.sync()
            subprocess.run(["umount", "-l", folder], check=True)
    finally:
        shutil.rmtree(home, ignore_errors=True)
