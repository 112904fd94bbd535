# SPDX-License-Identifier: Apache-2.0
"""Quoting: names in messages, each byte of them shown once."""


def quoted(name: str) -> str:
    r"""Returns a name or path in quotes, as a message shows it.

    Unlike ``repr`` it leaves backslashes alone, so that a name that was made printable before
    (``bad\xffname``) is not escaped again. Bytes that are not UTF-8 are shown as ``\xNN``.
    """
    if name.isprintable():
        return f"'{name}'"
    return "'" + "".join(map(_shown, name)) + "'"


def _shown(character: str) -> str:
    point = ord(character)
    if 0xDC80 <= point <= 0xDCFF:
        return f"\\x{point - 0xDC00:02x}"
    return character if character.isprintable() else repr(character)[1:-1]
