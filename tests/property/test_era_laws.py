# SPDX-License-Identifier: Apache-2.0
"""Laws of eras: whatever is copied and put back, a reader is told exactly from where on it knows
something else."""

from hypothesis import given
from hypothesis import strategies as st

from drystone.core.ids import Seq
from drystone.core.journal.eras import (
    ERAS_TOLD_MAX,
    Era,
    Past,
    find_common_seq,
    is_same_past,
)

# What happens to a server, one after the other: so many records, a run that ends, a backup that is
# made, one that is put back, and somebody who has read all there is.
deeds = st.lists(
    st.integers(1, 3) | st.sampled_from(["run", "back up", "restore", "read"]), max_size=40
)


class Server:
    """A journal of numbers, each used once, and its eras."""

    def __init__(self) -> None:
        self.records: list[int] = []
        self.eras: list[Era] = []
        self.backups: list[tuple[list[int], list[Era]]] = [([], [])]
        self.readers: list[tuple[list[int], tuple[Era, ...]]] = []
        self.count = self.runs = 0
        self.run()

    def run(self) -> None:
        self.runs += 1
        self.era_id = self.runs.to_bytes(8)

    def do(self, deed: int | str) -> None:
        if deed == "run":
            self.run()
        elif deed == "back up":
            self.backups.append((self.records[:], self.eras[:]))
        elif deed == "restore":
            self.records, self.eras = self.backups[-1][0][:], self.backups[-1][1][:]
            self.run()
        elif deed == "read":
            self.readers.append((self.records[:], self.past(len(self.records)).eras))
        else:
            assert isinstance(deed, int)
            if not self.eras or self.eras[-1].era_id != self.era_id:
                self.eras.append(Era(self.era_id, Seq(len(self.records) + 1)))
            for _ in range(deed):
                self.count += 1
                self.records.append(self.count)

    def past(self, seq: int) -> Past:
        mark = self.records[seq - 1] if seq else 0
        known = [era for era in reversed(self.eras) if era.first_seq <= seq]
        return Past(mark.to_bytes(8), tuple(known[:ERAS_TOLD_MAX]))


@given(deeds)
def test_reader_is_told_exactly_up_to_where_the_journal_is_the_same(
    done: list[int | str],
) -> None:
    server = Server()
    for deed in done:
        server.do(deed)
    head = len(server.records)
    for read, eras in server.readers:
        seq = len(read)
        common = next(
            (n for n, (a, b) in enumerate(zip(read, server.records, strict=False)) if a != b),
            min(seq, head),
        )
        mark = (read[-1] if read else 0).to_bytes(8)
        is_same = seq <= head and is_same_past(Past(mark, eras), server.past(seq))
        assert is_same == (common == seq)
        if not is_same:
            told = find_common_seq(Seq(seq), eras, Seq(head), server.eras[::-1], server.era_id)
            is_known = len(eras) < ERAS_TOLD_MAX or eras[-1] in server.eras
            assert told == common if is_known else told <= common
