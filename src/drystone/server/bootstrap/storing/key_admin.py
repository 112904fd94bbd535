# SPDX-License-Identifier: Apache-2.0
"""What an operator does with the keys of the embedded store, beside a running server or without.

Changing the master key writes the keyring, and nothing else that is stored. Each step leaves a
store that the key in its place opens:

1. the new key is written down beside the old one;
2. a keyring is written that both open, with a new store key for new objects;
3. the new key takes the old one's place;
4. a keyring is written that only the new one opens.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from drystone.core.errors import Misconfigured
from drystone.server.bootstrap.data_dir import ServerHome, UnusableHome, opened_data_dir
from drystone.server.bootstrap.storing.master_keys import (
    BadMasterKey,
    KeyFile,
    MasterKeyPlace,
    make_or_load,
    parse_place,
)
from drystone.server.bootstrap.storing.objects_folder import is_folder, locate_objects
from drystone.server.bootstrap.storing.sealing import load_keyring
from drystone.server.settings import ServerSettings
from drystone.server.storage.objects_files import FileObjects
from drystone.server.storage.objects_sealed import (
    KEYRING_PREFIX,
    MASTER_KEY_BYTES,
    Keyring,
    MasterKey,
    SealedObjects,
    drop_keyrings_before,
    find_keyring,
    open_keyring,
    parse_master_key,
    save_keyring,
)


class NotSealed(Misconfigured):
    """What is asked for is about encrypted objects, and there are none here."""

    code = "not-sealed"


class NoNewKey(Misconfigured):
    """The master key is to be changed, but nobody said where the new one is."""

    code = "no-new-key"


class KeyStatus(NamedTuple):
    """The keys of a store, without any that is secret.

    Attributes:
        place: The setting ``master_key``.
        master_key_id: Of the key that is there.
        opened_by: Ids of all master keys that open the store; more than one while the key is
            being changed.
        generation: Of the keyring.
        store_keys_count: How many store keys there are: one more after each change.
        holds_plain: True if something stored may not be encrypted yet.
    """

    place: str
    master_key_id: str
    opened_by: list[str]
    generation: int
    store_keys_count: int
    holds_plain: bool


class SealTally(NamedTuple):
    """What a pass that encrypts did.

    Attributes:
        sealed_count: Objects that were encrypted.
        sealed_bytes: Their lengths together.
        objects_count: All that were looked at.
    """

    sealed_count: int
    sealed_bytes: int
    objects_count: int


class KeyAdmin:
    """The operator's verbs. Each raises ``Misconfigured`` if the key that is there is wrong."""

    def __init__(self, settings: ServerSettings, data_dir: ServerHome) -> None:
        self._settings = settings
        self._data_dir = data_dir
        place = parse_place(settings.master_key, data_dir.master_key_path)
        if place is None or not is_folder(settings.objects):
            raise NotSealed(
                "the settings want no encryption of what lies in the data directory",
                advice="Set `master_key` to where the key is; with `objects` in an object store,"
                " see to the encryption there.",
            )
        self._place: MasterKeyPlace = place
        self._files = FileObjects(locate_objects(settings.objects, data_dir))

    def show(self) -> KeyStatus:
        """Returns which key there is and what it opens."""
        master, keyring = self._open()
        return KeyStatus(
            self._settings.master_key.partition(":")[0],
            master.id.hex(),
            [key_id.hex() for key_id in keyring.master_key_ids],
            keyring.generation,
            len(keyring.store_keys),
            keyring.holds_plain,
        )

    def export(self) -> str:
        """Returns the master key as a line to be kept: a secret."""
        return self._open()[0].format_recovery()

    def recover(self, text: str) -> str:
        """Puts a master key back in its file, if it opens the store. Returns its id.

        Raises:
            BadMasterKey: The text is no key.
            WrongMasterKey: It is another store's.
            NoNewKey: The key is not kept in a file.
        """
        place = self._require_file("The key is not kept in a file: put it where master_key says.")
        try:
            master = parse_master_key(text)
        except ValueError as error:
            raise BadMasterKey(
                f"what was given is no master key: {error}",
                advice="Give the whole line that `drystone admin export-key` printed.",
            ) from None
        open_keyring(self._require_keyring(), master)
        place.replace(master)
        return master.id.hex()

    def rotate(self) -> KeyStatus:
        """Makes a new master key in the file of the old one, which opens nothing any more."""
        place = self._require_file("Say where the new key is with --to.")
        old, keyring = self._open()
        new = MasterKey(os.urandom(MASTER_KEY_BYTES))
        place.write_next(new)
        both = keyring.rotate([old, new])
        self._write(both)
        place.take_next()
        self._write(both.open_to([new]))
        return self.show()

    def rotate_to(self, setting: str) -> KeyStatus:
        """Lets the key at another place open the store, too, until ``finish``.

        Args:
            setting: As of ``master_key``; a key file that is not there is made.
        """
        place = parse_place(setting, self._data_dir.master_key_path)
        if place is None:
            raise NoNewKey("`none` is no place for a key", advice="Name a file or a command.")
        old, keyring = self._open()
        new = make_or_load(place)[0]
        if new.id == old.id:
            raise NoNewKey(
                f"the same key is there: {new.id.hex()}", advice="Name the place of a new one."
            )
        self._write(keyring.rotate([old, new]))
        return self.show()

    def finish(self) -> KeyStatus:
        """Shuts out all master keys but the one that the settings name."""
        master, keyring = self._open()
        if keyring.master_key_ids != [master.id]:
            self._write(keyring.open_to([master]))
        if isinstance(self._place, KeyFile):
            self._place.drop_next()
        return self.show()

    def seal(self, tell: Callable[[SealTally], None]) -> SealTally:
        """Encrypts what is not yet. Begun again it goes on; each object is replaced in one step.

        Args:
            tell: Is told of the tally after each object that was encrypted.
        """
        sealed = SealedObjects(self._files, self._open()[1], lambda: self._open()[1])
        tally = SealTally(0, 0, 0)
        for stat in list(self._files.iter_names()):
            if stat.name.startswith(KEYRING_PREFIX):
                continue
            tally = tally._replace(objects_count=tally.objects_count + 1)
            with suppress(FileNotFoundError):  # deleted meanwhile
                if sealed.seal_plain(stat.name):
                    tally = tally._replace(
                        sealed_count=tally.sealed_count + 1,
                        sealed_bytes=tally.sealed_bytes + stat.length_bytes,
                    )
                    tell(tally)
        with opened_data_dir(self._data_dir.path):
            keyring = self._open()[1]
            if keyring.holds_plain:
                self._write(keyring.without_plain())
        return tally

    def _open(self) -> tuple[MasterKey, Keyring]:
        self._require_keyring()
        keyring = load_keyring(self._files, self._place)
        return self._place.load(keyring.master_key_ids), keyring

    def _write(self, keyring: Keyring) -> None:
        save_keyring(self._files, keyring)
        drop_keyrings_before(self._files, keyring.generation)

    def _require_keyring(self) -> bytes:
        raw = find_keyring(self._files)
        if raw is None:
            raise NotSealed(
                f"nothing in {self._data_dir.path} is encrypted yet",
                advice="Start the server once: it makes the keys.",
            )
        return raw

    def _require_file(self, advice: str) -> KeyFile:
        if not isinstance(self._place, KeyFile):
            raise NoNewKey("the master key does not lie in a file", advice=advice)
        return self._place


def _require_owner(path: Path) -> None:
    """Raises ``UnusableHome`` for the superuser where the server runs as somebody else: it could
    not read what is written here.
    """
    if os.geteuid() == 0 and path.exists() and path.stat().st_uid != 0:
        raise UnusableHome(
            f"{path} belongs to user {path.stat().st_uid}, who could not read keys that are"
            " written by root",
            advice="Run this as that user: sudo -u USER drystone admin ...",
        )


@contextmanager
def open_key_admin(settings: ServerSettings, *, is_long: bool = False) -> Iterator[KeyAdmin]:
    """Opens what the commands about keys need; nobody else changes keys meanwhile.

    Args:
        settings: Of the server.
        is_long: True for what takes long and takes its own turn where it changes keys: servers
            can be started meanwhile.

    Raises:
        Misconfigured: The data directory cannot be used, or nothing in it is to be encrypted.
    """
    _require_owner(settings.data_dir)
    with opened_data_dir(settings.data_dir) as data_dir:
        admin = KeyAdmin(settings, data_dir)
        if not is_long:
            yield admin
            return
    yield admin
