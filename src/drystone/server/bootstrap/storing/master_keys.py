# SPDX-License-Identifier: Apache-2.0
"""Where the master key is, by the setting ``master_key``: a file, a variable, a command.

A key is never logged, never an argument, and in no message.
"""

import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from drystone.core.errors import Misconfigured
from drystone.server.bootstrap.data_dir import replace_durably, write_new
from drystone.server.settings import BadSetting, find_variable
from drystone.server.storage.objects_sealed import MASTER_KEY_BYTES, MasterKey, parse_master_key

COMMAND_TIMEOUT_S: Final = 30.0
"""A key service on the other side of the world answers within a few seconds."""

_TOLD_BYTES_MAX: Final = 300
_OTHERS_MODE: Final = 0o077


class MasterKeyMissing(Misconfigured):
    """The master key cannot be had: no file, no variable, or the command failed."""

    code = "master-key-missing"


class BadMasterKey(Misconfigured):
    """What is where the master key should be is none."""

    code = "bad-master-key"


class MasterKeyPlace(Protocol):
    """Where a master key is.

    Attributes:
        setting: As it stands in the settings.
    """

    setting: str

    def load(self, wanted_ids: Sequence[bytes]) -> MasterKey:
        """Returns the key.

        Args:
            wanted_ids: Ids of the keys that would do; none if there is no sealed object yet.

        Raises:
            MasterKeyMissing: It cannot be had. Says why.
            BadMasterKey: Something else is there.
        """
        ...


class KeyFile:
    """A file that holds the key; Drystone can make and replace it.

    Args:
        path: The file.
        setting: What names it.
        makes_folder: True if its folder is ours to make.
    """

    def __init__(self, path: Path, setting: str, *, makes_folder: bool = False) -> None:
        self.path = path
        self.setting = setting
        self._makes_folder = makes_folder

    def load(self, wanted_ids: Sequence[bytes]) -> MasterKey:
        """Reads the file. See ``MasterKeyPlace``."""
        del wanted_ids
        try:
            text = self.path.read_text(encoding="ascii", errors="replace")
        except FileNotFoundError as error:
            raise MasterKeyMissing(
                f"the master key is not in {self.path}",
                advice="Bring the file back, or the key with `drystone admin recover-key`."
                " Without it nothing that is stored can be read.",
            ) from error
        except OSError as error:
            raise MasterKeyMissing(
                f"the master key in {self.path} cannot be read: {error.strerror}",
                advice="Check who may read it; the server's user must.",
            ) from error
        return _parse(text, str(self.path))

    def is_open_to_others(self) -> bool:
        """True if others than its owner may read the file."""
        try:
            return bool(self.path.stat().st_mode & _OTHERS_MODE)
        except OSError:
            return False

    def exists(self) -> bool:
        """Tells whether there is anything at its place."""
        return os.path.lexists(self.path)

    def make(self) -> MasterKey:
        """Makes a key where there is none."""
        master = MasterKey(os.urandom(MASTER_KEY_BYTES))
        self._write(self.path, master, is_new=True)
        return master

    def write_next(self, master: MasterKey) -> None:
        """Writes a key down beside the one in use, durably."""
        self._write(self._next_path, master)

    def take_next(self) -> None:
        """Puts the key that was written down beside in the place of the one in use."""
        self._write(self.path, _parse(self._next_path.read_text(), str(self._next_path)))
        self._next_path.unlink(missing_ok=True)

    def drop_next(self) -> None:
        """Forgets what was written down beside."""
        self._next_path.unlink(missing_ok=True)

    def replace(self, master: MasterKey) -> None:
        """Puts a key in the place of what is there."""
        self._write(self.path, master)

    @property
    def _next_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.next")

    def _write(self, path: Path, master: MasterKey, *, is_new: bool = False) -> None:
        content = f"{master.key.hex()}\n".encode("ascii")
        try:
            if self._makes_folder:
                path.parent.mkdir(mode=0o700, exist_ok=True)
            (write_new if is_new else replace_durably)(path, content)
        except OSError as error:
            raise MasterKeyMissing(
                f"the master key cannot be written to {path}: {error.strerror}",
                advice="Check that the folder is there, that this user may write to it, and that"
                " the disk has room. Nothing was changed.",
            ) from error


class KeyVariable:
    """A variable of the environment that holds the key."""

    def __init__(self, name: str, setting: str) -> None:
        self._name = name
        self.setting = setting

    def load(self, wanted_ids: Sequence[bytes]) -> MasterKey:
        """Reads the variable. See ``MasterKeyPlace``."""
        del wanted_ids
        text = find_variable(self._name)
        if not text:
            raise MasterKeyMissing(
                f"the variable {self._name}, which should hold the master key, is not set",
                advice="Set it where the server is started, to 64 hexadecimal digits or base64.",
            )
        return _parse(text, f"the variable {self._name}")


class KeyCommand:
    """A command that prints the key; it may ask a key service for it.

    It is started without a shell. The ids of the keys that would do are given to it, one a line.
    """

    def __init__(self, arguments: Sequence[str], setting: str) -> None:
        self._arguments = list(arguments)
        self.setting = setting

    def load(self, wanted_ids: Sequence[bytes]) -> MasterKey:
        """Runs the command. See ``MasterKeyPlace``."""
        what = f"the command for the master key ({self._arguments[0]})"
        asked = "".join(f"{key_id.hex()}\n" for key_id in wanted_ids)
        try:
            process = subprocess.Popen(  # noqa: S603  the operator's own command, without a shell
                self._arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise MasterKeyMissing(
                f"{what} cannot be started: {error.strerror}",
                advice="Check the setting master_key: the program's path, and who may run it.",
            ) from error
        with process:
            try:
                output, told = process.communicate(asked.encode(), timeout=COMMAND_TIMEOUT_S)
            except subprocess.TimeoutExpired as error:
                # With all that it started: one of them may hold the pipe open.
                os.killpg(process.pid, signal.SIGKILL)
                raise MasterKeyMissing(
                    f"{what} did not end within {COMMAND_TIMEOUT_S:.0f} s",
                    advice="Try it in a terminal; check that the key service can be reached.",
                ) from error
        if process.returncode != 0:
            reason = told[-_TOLD_BYTES_MAX:].decode(errors="replace").strip()
            raise MasterKeyMissing(
                f"{what} ended with {process.returncode}: {reason or 'it says nothing'}",
                advice="Try it in a terminal, as the server's user.",
            )
        return _parse(output.decode("ascii", errors="replace"), what)


def parse_place(setting: str, default_path: Path) -> MasterKeyPlace | None:
    """Returns where the master key is by a setting; None for ``none``.

    Args:
        setting: The value of ``master_key``.
        default_path: What ``file`` alone means.

    Raises:
        BadSetting: It does not say where.
    """
    kind, has_more, rest = setting.partition(":")
    if kind == "none" and not has_more:
        return None
    if kind == "file" and (rest or not has_more):
        if not rest:
            return KeyFile(default_path, setting, makes_folder=True)
        return KeyFile(Path(rest).expanduser().absolute(), setting)
    if kind == "env" and rest:
        return KeyVariable(rest, setting)
    if kind == "command":
        try:
            arguments = shlex.split(rest)
        except ValueError:
            arguments = []
        if arguments:
            return KeyCommand(arguments, setting)
    # Its value is not shown: somebody may have put the key itself there.
    raise BadSetting(
        "master_key does not say where the key is",
        advice="It takes `file`, `file:PATH`, `env:NAME`, `command:PROGRAM ARGUMENTS` or `none`.",
    )


def make_or_load(place: MasterKeyPlace) -> tuple[MasterKey, Path | None]:
    """Returns the key of a place that may be new, and the path if a key was made there.

    Raises:
        MasterKeyMissing: There is none, and it is not ours to make; or it cannot be made.
        BadMasterKey: Something else is there.
    """
    if isinstance(place, KeyFile) and not place.exists():
        return place.make(), place.path
    return place.load([]), None


def _parse(text: str, where: str) -> MasterKey:
    try:
        return parse_master_key(text)
    except ValueError as error:
        raise BadMasterKey(
            f"{where} does not hold a master key: {error}",
            advice="A master key is 32 random bytes, in hexadecimal, in base64 or as the line that"
            " `drystone admin export-key` prints.",
        ) from None
