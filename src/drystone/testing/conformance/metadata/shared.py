# SPDX-License-Identifier: Apache-2.0
"""What every engine does with what all workers have in common."""

from drystone.server.ports.metadata import Metadata


class SharedSuite:
    """Secrets, the stamp, and the running era."""

    def test_a_secret_is_kept_once(self, metadata: Metadata) -> None:
        assert metadata.read(lambda unit: unit.shared.find_secret("key")) is None
        first = metadata.write(lambda unit: unit.shared.keep_secret("key", b"first"))
        again = metadata.write(lambda unit: unit.shared.keep_secret("key", b"again"))
        other = metadata.write(lambda unit: unit.shared.keep_secret("other", b"more"))

        assert (first, again, other) == (b"first", b"first", b"more")
        assert metadata.read(lambda unit: unit.shared.find_secret("key")) == b"first"

    def test_the_stamp_is_another_after_each_move_and_only_then(self, metadata: Metadata) -> None:
        stamps = [metadata.read(lambda unit: unit.shared.find_stamp())]
        for _ in range(3):
            metadata.write(lambda unit: unit.shared.move_stamp())
            stamps.append(metadata.read(lambda unit: unit.shared.find_stamp()))

        assert len(set(stamps)) == 4
        assert metadata.read(lambda unit: unit.shared.find_stamp()) == stamps[-1]

    def test_the_first_who_writes_begins_an_era_and_others_join_it(
        self, metadata: Metadata
    ) -> None:
        assert metadata.read(lambda unit: unit.shared.find_era_id()) is None
        began = metadata.write(lambda unit: unit.shared.join_era(b"eraerae1"))
        joined = metadata.write(lambda unit: unit.shared.join_era(b"eraerae2"))

        assert (began, joined) == (b"eraerae1", b"eraerae1")
        assert metadata.read(lambda unit: unit.shared.find_era_id()) == b"eraerae1"

    def test_an_era_begun_in_a_work_that_is_undone_was_never_begun(
        self, metadata: Metadata
    ) -> None:
        def fail(unit: object) -> None:
            unit.shared.join_era(b"eraerae1")  # type: ignore[attr-defined]
            raise ValueError

        results = metadata.write_group([fail, lambda unit: unit.shared.join_era(b"eraerae2")])

        assert isinstance(results[0], ValueError)
        assert results[1] == b"eraerae2"
        assert metadata.read(lambda unit: unit.shared.find_era_id()) == b"eraerae2"
