# SPDX-License-Identifier: Apache-2.0
"""What a process costs: CPU seconds and peak memory, read from /proc beside it."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple, Self

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_RESET_PEAK = "5"  # proc(5), clear_refs: peak resident set becomes the present one


class Cost(NamedTuple):
    """What one process has used."""

    cpu_s: float
    peak_mb: float
    """Peak resident memory, in 10^6 bytes."""


class Meter:
    """CPU and peak memory of a running process since the last ``reset``, or since its start.

    Reading costs the process nothing. CPU comes in ticks, of 10 ms as a rule.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._cpu_s_before = 0.0

    def reset(self) -> Self:
        """Begins to count anew: CPU from here, peak memory from what is resident now."""
        self._cpu_s_before = self._cpu_s()
        with contextlib.suppress(OSError):
            Path(f"/proc/{self._pid}/clear_refs").write_text(_RESET_PEAK)
        return self

    def cost(self) -> Cost:
        """Returns what it used since ``reset``."""
        return Cost(self._cpu_s() - self._cpu_s_before, self._status_bytes("VmHWM:") / 1e6)

    def resident_mb(self) -> float:
        """Returns what is resident now, in 10^6 bytes."""
        return self._status_bytes("VmRSS:") / 1e6

    def count_wakeups(self) -> int:
        """Returns how often its threads have begun to run after waiting, since their start."""
        found = 0
        for status in Path(f"/proc/{self._pid}/task").glob("*/status"):
            with contextlib.suppress(OSError):
                lines = status.read_text().splitlines()
                found += sum(int(x.split()[1]) for x in lines if x.startswith("voluntary_ctxt"))
        return found

    def _cpu_s(self) -> float:
        try:
            # The name in field 2 may hold blanks and parentheses: count from the last one.
            text = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return self._cpu_s_before
        # utime, stime, and those of children it has waited for: fields 14 to 17.
        return sum(map(int, text[11:15])) / _TICKS_PER_S

    def _status_bytes(self, field: str) -> int:
        try:
            lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        except OSError:
            return 0
        return next((int(x.split()[1]) * 1024 for x in lines if x.startswith(field)), 0)


class Watched(Meter):
    """A process that the run started itself, and its costs.

    Args:
        name: How reports call it.
        arguments: Its command line.
        environment: All of its environment.
        log: File that gets its stdout and stderr.
    """

    def __init__(
        self, name: str, arguments: list[str], environment: dict[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                arguments, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )
        super().__init__(self._process.pid)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def stop(self, grace_s: float = 20.0) -> None:
        """Asks it to end, and kills it if it does not. Idempotent."""
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait(self, timeout_s: float) -> int:
        """Waits for it to end by itself and returns its exit code."""
        return self._process.wait(timeout_s)


def run_once(arguments: list[str], environment: dict[str, str], log: Path) -> Cost:
    """Runs a command to its end and returns what it and its children used.

    Raises:
        subprocess.CalledProcessError: It failed; ``log`` tells why.
    """
    with log.open("ab") as file:
        process = subprocess.Popen(
            arguments, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, arguments)
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)
