# SPDX-License-Identifier: Apache-2.0
"""Units: systemd reads back what was meant."""

import shutil
import subprocess

import pytest

from drystone.cli.units import format_unit, quote


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("/usr/bin/drystone", "/usr/bin/drystone"),
        ("--data-dir=/srv/x", "--data-dir=/srv/x"),
        ("/home/a b/x", '"/home/a b/x"'),
        ("100%", '"100%%"'),
        ("$HOME", '"$HOME"'),
        ('say "hi"\\', '"say \\"hi\\"\\\\"'),
        ("", '""'),
    ],
)
def test_words_are_quoted_for_systemd(word, quoted):
    assert quote(word) == quoted


def test_unit_runs_the_command_with_its_environment():
    text = format_unit(
        ["/opt/my python/bin/python", "-m", "drystone", "daemon", "$A"],
        [("DRYSTONE_CONFIG_DIR", "/home/ana/.config/drystone")],
        is_server=False,
    )

    assert 'ExecStart="/opt/my python/bin/python" -m drystone daemon "$$A"\n' in text
    assert "Environment=DRYSTONE_CONFIG_DIR=/home/ana/.config/drystone\n" in text
    assert "Nice=5\n" in text
    assert "WantedBy=default.target" in text


def test_server_unit_gets_time_to_finish_requests():
    text = format_unit(["/usr/bin/drystone", "serve"], is_server=True)

    assert "ExecStart=/usr/bin/drystone serve\n" in text
    assert "TimeoutStopSec=60\n" in text
    assert "KillMode=mixed\n" in text, "or its workers would be asked twice"
    assert "RestartPreventExitStatus" not in text, "what is away at boot may come back"
    assert "Environment=" not in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("is_server", [False, True])
def test_systemd_accepts_the_unit(tmp_path, is_server):
    unit = tmp_path / "drystone-test.service"
    unit.write_text(format_unit(["/bin/true", "a b"], [("A", "b c")], is_server=is_server))

    checked = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(unit)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert "drystone-test" not in checked.stderr, checked.stderr


@pytest.mark.parametrize("is_server", [True, False])
def test_units_name_no_documentation_of_others(is_server):
    assert "Documentation=" not in format_unit(["/usr/bin/drystone"], is_server=is_server)
