# SPDX-License-Identifier: Apache-2.0
"""Opening the embedded store of objects: sealed, with the right master key, or not at all."""

from pathlib import Path
from typing import Final, NamedTuple

from drystone.core.errors import Misconfigured
from drystone.server.bootstrap.data_dir import ServerHome
from drystone.server.bootstrap.storing.master_keys import (
    KeyFile,
    MasterKeyPlace,
    make_or_load,
    parse_place,
)
from drystone.server.bootstrap.storing.objects_folder import locate_objects
from drystone.server.ports.objects import Objects
from drystone.server.settings import ServerSettings
from drystone.server.storage.objects_files import FileObjects
from drystone.server.storage.objects_sealed import (
    Keyring,
    KeyringBroken,
    SealedObjects,
    find_keyring,
    is_sealed,
    list_master_key_ids,
    make_keyring,
    open_keyring,
    save_keyring,
)

_PLAIN_WARNING: Final = (
    "What is stored is not encrypted, because master_key is none: whoever gets hold of the disk"
    " can read all files."
)


class KeyringLost(Misconfigured):
    """There are sealed objects, and the keyring that opens them is gone."""

    code = "keyring-lost"


class StoreIsSealed(Misconfigured):
    """The settings want no encryption, but the store's objects are encrypted."""

    code = "store-is-sealed"


class OpenedObjects(NamedTuple):
    """The embedded store, ready for use.

    Attributes:
        objects: It.
        made_key_path: Where a master key was made by this call; None if there was one.
        warnings: Sentences for the operator.
    """

    objects: Objects
    made_key_path: Path | None
    warnings: tuple[str, ...]


def open_embedded_objects(settings: ServerSettings, data_dir: ServerHome) -> OpenedObjects:
    """Opens the objects in the data directory; the first time makes the keys for them.

    To be called by one process at a time (``opened_data_dir``).

    Raises:
        Misconfigured: The master key cannot be had or is another store's, or the keyring is lost
            or damaged. Nothing was changed.
    """
    files = FileObjects(locate_objects(settings.objects, data_dir))
    raw = find_keyring(files)
    place = parse_place(settings.master_key, data_dir.master_key_path)
    if place is None:
        if raw is not None:
            raise StoreIsSealed(
                "master_key is none, but what is stored is encrypted",
                advice="Set master_key to where the key is: the default is `file`.",
            )
        return OpenedObjects(files, None, (_PLAIN_WARNING,))
    made_key_path = None
    if raw is None:
        keyring, made_key_path = _begin_sealing(files, place, data_dir)
    else:
        keyring = open_keyring(raw, place.load(list_master_key_ids(raw)))
    objects = SealedObjects(files, keyring, lambda: load_keyring(files, place))
    return OpenedObjects(objects, made_key_path, _list_warnings(place, keyring))


def load_keyring(objects: Objects, place: MasterKeyPlace) -> Keyring:
    """Returns the newest keyring of a store that is sealed.

    Raises:
        Misconfigured: It is gone or damaged, or the master key does not open it.
    """
    raw = find_keyring(objects)
    if raw is None:
        raise KeyringBroken
    return open_keyring(raw, place.load(list_master_key_ids(raw)))


def _begin_sealing(
    files: Objects, place: MasterKeyPlace, data_dir: ServerHome
) -> tuple[Keyring, Path | None]:
    """Makes the keyring of a store that has none, and the master key if that is ours to make."""
    names = [stat.name for stat in files.iter_names()]
    if any(is_sealed(files, name) for name in names):
        raise KeyringLost(
            "there are encrypted objects, but not the keyring that opens them",
            advice="Restore the folder objects/keyring from a backup. Nothing was changed.",
        )
    master, made_key_path = make_or_load(place)
    keyring = make_keyring(master, holds_plain=bool(names))
    data_dir.raise_format()
    save_keyring(files, keyring)
    return keyring, made_key_path


def _list_warnings(place: MasterKeyPlace, keyring: Keyring) -> tuple[str, ...]:
    warnings = []
    if keyring.holds_plain:
        warnings.append(
            "Some of what is stored may not be encrypted yet; `drystone admin seal` encrypts it."
        )
    if len(keyring.slots) > 1:
        warnings.append(
            "A change of the master key is not finished, and the old key still opens the store:"
            " run `drystone admin rotate-key --finish`."
        )
    if isinstance(place, KeyFile) and place.is_open_to_others():
        warnings.append(f"Others than its owner may read the master key in {place.path}.")
    return tuple(warnings)
