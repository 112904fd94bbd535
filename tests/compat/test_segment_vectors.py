# SPDX-License-Identifier: Apache-2.0
"""Journals beside the packs, as they were first written: read for ever, and written alike."""

from drystone.core.content.content import EMPTY_CONTENT
from drystone.core.ids import ROOT_ID, AccountId, DeviceId, NamespaceId, Rev, Seq
from drystone.core.journal.checkpoint import CheckpointEnd, decode_end, encode_end
from drystone.core.journal.eras import NO_MARK, Era, make_mark
from drystone.core.journal.record import Action, Record
from drystone.core.journal.segment import Segment, SegmentKind, decode_segment, encode_segment
from drystone.core.tree.entry import Entry, Kind
from drystone.server.ports.metadata import Account, Device
from drystone.server.workers.journals.people import People, decode_people, encode_people
from drystone.testing.strategies import make_chunked_content, make_content, make_file_id

ANNA, LAPTOP = AccountId(b"A" * 16), DeviceId(b"l" * 16)
SPACE = NamespaceId(b"n" * 16)
ENTRIES = [
    Entry(make_file_id(1), ROOT_ID, "Büro", Kind.FOLDER, None, 0o755, 0, "", Rev(1)),
    Entry(
        make_file_id(2), make_file_id(1), "one", Kind.FILE, make_content("one"), 0o644, -1, "",
        Rev(2),
    ),
    Entry(
        make_file_id(3), ROOT_ID, "large", Kind.FILE, make_chunked_content("x", 9 << 20), 0o600,
        1 << 60, "", Rev(3),
    ),
    Entry(make_file_id(4), ROOT_ID, "link", Kind.SYMLINK, None, 0, 5, "../away", Rev(4)),
    Entry(make_file_id(5), ROOT_ID, "empty", Kind.FILE, EMPTY_CONTENT, 0o644, 6, "", Rev(5)),
]  # fmt: skip
RECORDS = tuple(
    Record(Seq(seq), Action.CREATE, entry, ANNA, LAPTOP, 1_700_000_000_000_000_000 + seq)
    for seq, entry in enumerate(ENTRIES, 1)
)
STRETCH = Segment(
    SegmentKind.STRETCH,
    SPACE,
    ANNA,
    Seq(1),
    Seq(5),
    NO_MARK,
    make_mark(RECORDS[-1]),
    (Era(b"e" * 8, Seq(1)), Era(b"f" * 8, Seq(4))),
    RECORDS,
)
CUT = STRETCH._replace(kind=SegmentKind.CUT, records=RECORDS[1::3], first_seq=Seq(2))
END = CheckpointEnd(SPACE, Seq(5), b"m" * 8, 1, 2)
PEOPLE = People(
    (Account(ANNA, "Anna", "", SPACE, 7, disabled=True),),
    (Device(LAPTOP, ANNA, "laptop", b"", 8, 0, 9),),
)

STRETCH_BYTES = bytes.fromhex(
    "44534a524e4c310a016e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e414141414141414141414141414141"
    "410100000000000000050000000000000000000000000000002e0b5669394125da05000000020000"
    "006a02000028b52ffd606a01cd0800b40b65650100660400416c010200ed01002a36fe9c97170500"
    "42c3bc726f0200010103a40102ff02030302017692c3ad3540bb803c020b3aee66cd8887123234ea"
    "0c6e7143c0add73ff431ed6f6e6501010f800110039003cf23537c0b8184b011af0ae730d1d3ccee"
    "ab9ac4dfa36c25850c4da5e2dd1296afd175029044d70a316bfc150597d0386238ee3c46c10b2bcd"
    "e38ba6429387946c61726765040400040007046c696e6b2e2e2f6177617901010105060005050065"
    "6d7074792f20408311890e9df427b387ad0bab2cea3286827008830e5ce96cb92b24944f3412c5a6"
    "c24044805bad11721002099a4ae2bbe31965e9281f324bc16a3ab09d8266e0c89d207ec4029026f0"
    "71e92780baa39a97b5036576b4c1b40194284401d63244a5ed2e92c38402d1035b7dd5a21bc2ead1"
    "42cc472605366a9e"
)
CUT_BYTES = bytes.fromhex(
    "44534a524e4c310a026e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e414141414141414141414141414141"
    "410200000000000000050000000000000000000000000000002e0b5669394125da02000000020000"
    "001601000028b52ffd6016003d0400140565650100660400416c0200010103a400ff02002a36fe9c"
    "97170300017692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed6f6e65"
    "05000101010506000500050500656d7074791800a013e00f32db436e2a4320df3d8c61301e10b08a"
    "0030b042001888cb4793d85421830141c7702d3b2d0003416660b401b40142f24e895bd7667de39b"
    "2a3b70bf92afd2e00af26f7aba073b6d9c4ed79fabc1"
)
END_BYTES = bytes.fromhex(
    "4453434b5054310a6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e05000000000000006d6d6d6d6d6d6d6d"
    "010000000200000000000000f5bb50d8e1df9681987a41c919baf182f405d06234ebd8145bd92bce"
    "f024219e"
)
PEOPLE_BYTES = bytes.fromhex(
    "445341434354310a28b52ffd20c575020012040f1790456d5334451b24c090ac46ea0eecdf9690b7"
    "3776450901b3e2c4add2aa536e3c894993886f966bd90f771edfa77af80e04236498595d09f10c08"
    "05001186c4b9c0ca800520d2890e0cc3309555022706f7030abe0a697130a00131b7e4767adc7399"
    "daef13059d75d3"
)


def test_version_1_is_read() -> None:
    assert decode_segment(STRETCH_BYTES) == STRETCH
    assert decode_segment(CUT_BYTES) == CUT
    assert decode_end(END_BYTES) == END
    assert decode_people(PEOPLE_BYTES) == PEOPLE


def test_version_1_is_written() -> None:
    """But for the compression, which may differ from one version of the library to the next."""
    assert encode_segment(STRETCH)[:85] == STRETCH_BYTES[:85]
    assert encode_segment(CUT)[:85] == CUT_BYTES[:85]
    assert encode_end(END) == END_BYTES
    assert decode_people(encode_people(PEOPLE)) == PEOPLE
