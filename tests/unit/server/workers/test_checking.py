# SPDX-License-Identifier: Apache-2.0
"""Checks: a sound server has no findings, and each kind of damage is found where it was done."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from drystone.core.content.chunk import Chunk, ChunkerId
from drystone.core.content.content import Content
from drystone.core.content.hashing import content_hash_of_block_id
from drystone.core.content.manifest import Manifest, encode_manifest
from drystone.core.ids import ROOT_ID, BlockId, Rev, Seq
from drystone.core.instant import NS_PER_S
from drystone.core.journal.eras import Era
from drystone.core.journal.record import Action, Record
from drystone.core.tree.entry import Entry, Kind
from drystone.server.ports.blocks import Pack
from drystone.server.ports.survey import NamespaceLine
from drystone.server.storage.metadata_sql import SqliteMetadata
from drystone.server.storage.objects_memory import MemoryObjects
from drystone.server.storage.packs import ObjectPacks
from drystone.server.storage.packs.layout import pack_name
from drystone.server.workers.checking import CODES, Check, Finding
from drystone.server.workers.journals.writing import write_stretch
from drystone.testing.blocks import frames_of, make_noise
from drystone.testing.conformance.metadata.samples import (
    ANNA,
    LAPTOP,
    NAMESPACE,
    A,
    B,
    C,
    D,
    add_accounts,
    folder,
)

LATER_NS = 10**9 * NS_PER_S
BLOCKS = make_noise(4)
NAMES = [frame.block_id for frame in frames_of(BLOCKS)]


def of_one_block(number: int) -> Content:
    name = NAMES[number]
    return Content(len(BLOCKS[number]), name, False, content_hash_of_block_id(name))


CHUNKS = (Chunk(0, 200, NAMES[2]), Chunk(200, 200, NAMES[3]))
MANIFEST = Manifest(ChunkerId.FASTCDC, 1, 400, b"h" * 32, CHUNKS)
ENCODED = encode_manifest(MANIFEST)


def file(file_id: bytes, name: str, content: Content, parent_id: bytes = ROOT_ID) -> Entry:
    return Entry(file_id, parent_id, name, Kind.FILE, content, 0o644, 7, "", Rev(1))  # type: ignore[arg-type]


class Kept(NamedTuple):
    """A server at rest: a folder, two files of one block, one of two; one of them moved."""

    path: Path
    metadata: SqliteMetadata
    objects: MemoryObjects
    pack: Pack

    def check(self, *, is_deep: bool = False) -> list[Finding]:
        packs = ObjectPacks(self.objects)
        check = Check(self.metadata, self.objects, packs, LATER_NS, is_deep=is_deep)
        findings = list(check.iter_findings())
        checked = check.sum_up()
        assert checked.is_sound == all(finding.is_harmless for finding in findings)
        assert sum(checked.found.values()) == len(findings)
        return findings

    def codes(self, *, is_deep: bool = False) -> set[str]:
        return {finding.code for finding in self.check(is_deep=is_deep)}

    def sql(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path)) as db:
            for statement in statements:
                db.execute(statement)
            db.commit()

    @property
    def name(self) -> str:
        return pack_name(self.pack.pack_id)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    path = tmp_path / "metadata.db"
    objects = MemoryObjects()
    with closing(SqliteMetadata(path)) as metadata:
        add_accounts(metadata)
        frames = frames_of([*BLOCKS, ENCODED])
        pack = ObjectPacks(objects).store(frames)
        held = [frame.block_id for frame in frames]
        steps = [
            (Action.CREATE, folder(A, "Docs")),
            (Action.CREATE, file(B, "one", of_one_block(0), A)),
            (Action.CREATE, file(C, "two", of_one_block(1), A)),
            (Action.CREATE, file(D, "large", MANIFEST.content(ENCODED))),
            (Action.MOVE, file(C, "moved", of_one_block(1))),
            (Action.DELETE, file(B, "one", of_one_block(0), A)),
        ]
        records = [
            Record(Seq(seq), action, entry, ANNA.account_id, LAPTOP.device_id, seq)
            for seq, (action, entry) in enumerate(steps, 1)
        ]
        metadata.write(lambda unit: unit.blocks.add_pack(*pack))
        metadata.write(lambda unit: unit.blocks.hold(NAMESPACE, held, 0))
        metadata.write(lambda unit: unit.tree.begin_era(NAMESPACE, Era(b"e" * 8, Seq(1))))
        metadata.write(lambda unit: unit.tree.append(NAMESPACE, records))
        line = NamespaceLine(NAMESPACE, ANNA.account_id, Seq(6))
        assert write_stretch(metadata, objects, line, Seq(0)) == 6
        yield Kept(path, metadata, objects, pack)


def test_sound_server_has_no_findings(kept: Kept) -> None:
    assert kept.check() == []
    assert kept.check(is_deep=True) == []


def block_row(block_id: BlockId) -> str:
    return f"(SELECT block FROM block WHERE block_id = x'{block_id.hex()}')"


DAMAGES = {
    "seq-gap": ["DELETE FROM record WHERE seq = 3"],
    "head-wrong": ["UPDATE journal SET head = 9 WHERE head = 6"],
    "era-ahead": [f"INSERT INTO era SELECT ns, 99, x'{'aa' * 8}' FROM era"],
    "entry-missing": [f"DELETE FROM entry WHERE file_id = x'{D.hex()}'"],
    "entry-differs": [f"UPDATE entry SET name = 'x' WHERE file_id = x'{D.hex()}'"],
    "entry-stray": [f"UPDATE entry SET seq = 77 WHERE file_id = x'{D.hex()}'"],
    "folder-missing": [f"UPDATE entry SET kind = 1 WHERE file_id = x'{A.hex()}'"],
    "folder-circle": [f"UPDATE entry SET parent_id = file_id WHERE file_id = x'{A.hex()}'"],
    "block-unknown": [f"DELETE FROM block WHERE block_id = x'{NAMES[0].hex()}'"],
    "block-not-held": [f"DELETE FROM namespace_block WHERE block = {block_row(NAMES[3])}"],
    "block-damaged": [f"INSERT INTO damaged_block VALUES ({block_row(NAMES[1])})"],
    "content-differs": [f"UPDATE block SET plain_bytes = 7 WHERE block_id = x'{NAMES[1].hex()}'"],
    "place-outside": ["UPDATE pack SET length_bytes = 300"],
    "place-without-pack": ["PRAGMA foreign_keys = OFF", "DELETE FROM pack"],
    "pack-length": ["UPDATE pack SET length_bytes = length_bytes + 1"],
}


@pytest.mark.parametrize("code", sorted(DAMAGES))
def test_damage_in_the_database_is_found(kept: Kept, code: str) -> None:
    kept.sql(*DAMAGES[code])

    assert code in kept.codes()


def flip(kept: Kept, name: str, at: int) -> None:
    length = kept.objects.find_length(name)
    assert length is not None
    content = bytearray(kept.objects.read(name, [(0, length)])[0])
    content[at] ^= 1
    kept.objects.put(name, [content])


def cut_off(kept: Kept) -> None:
    kept.objects.put(kept.name, [kept.objects.read(kept.name, [(0, 600)])[0]])


def stretch_of(kept: Kept) -> str:
    [stat] = kept.objects.iter_names("journal/")
    return stat.name


def add_orphan(kept: Kept) -> None:
    ObjectPacks(kept.objects).store(frames_of([b"of an upload that was broken off"]))


def move_stretch(kept: Kept) -> None:
    # As if those before it had been lost.
    name = stretch_of(kept)
    content = kept.objects.read(name, [(0, 10_000)])[0]
    kept.objects.delete(name)
    kept.objects.put(name.replace("0000000001-", "0000000004-"), [content])


STORED_DAMAGES: dict[str, tuple[Callable[[Kept], None], bool]] = {
    "pack-missing": (lambda kept: kept.objects.delete(kept.name), False),
    "pack-length": (cut_off, False),
    "block-damaged": (lambda kept: flip(kept, kept.name, 60), True),
    "manifest-unreadable": (
        lambda kept: flip(kept, kept.name, kept.pack.places[-1].offset_bytes + 9),
        False,
    ),
    "pack-unknown": (add_orphan, False),
    "object-unknown": (lambda kept: kept.objects.put("packs/00/stranger", [b"x"]), False),
    "journal-copy-damaged": (lambda kept: flip(kept, stretch_of(kept), 90), True),
    "journal-copy-missing": (move_stretch, False),
}


@pytest.mark.parametrize("code", sorted(STORED_DAMAGES))
def test_damage_in_the_store_is_found(kept: Kept, code: str) -> None:
    damage, needs_depth = STORED_DAMAGES[code]
    damage(kept)

    assert (code in kept.codes()) != needs_depth
    assert code in kept.codes(is_deep=True)


def test_damaged_database_is_told_and_is_no_crash(kept: Kept) -> None:
    kept.metadata.close()
    with kept.path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 6)
    try:
        metadata = SqliteMetadata(kept.path)
    except Exception:  # noqa: BLE001  so damaged that it is not opened: told elsewhere
        return
    with closing(metadata):
        assert "database-damaged" in kept._replace(metadata=metadata).codes()


def test_every_code_has_a_test() -> None:
    assert CODES.keys() == {"database-damaged", *DAMAGES, *STORED_DAMAGES}


def test_findings_tell_the_path_and_what_to_do(kept: Kept) -> None:
    kept.sql(*DAMAGES["block-not-held"])
    [finding] = kept.check()

    assert finding.where.endswith("seq 4: /large")
    assert NAMES[3].hex() in finding.what
    assert "drystone doctor --repair" in finding.advice
    assert not finding.is_harmless
