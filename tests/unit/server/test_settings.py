# SPDX-License-Identifier: Apache-2.0

import re
from pathlib import Path

import pytest

from drystone.server.settings import (
    BadSetting,
    ServerSettings,
    UnreadableSettings,
    describe_settings,
    load_settings,
)

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


def load(data_dir, flags=(), environment=(), text=None):
    if text is not None:
        data_dir.mkdir(exist_ok=True)
        (data_dir / "drystone.toml").write_text(text)
    return load_settings({"data_dir": data_dir, **dict(flags)}, dict(environment))


def test_flag_wins_over_environment_over_file_over_default(data_dir):
    text = 'host = "file"\nport = 1\nlog_level = "error"\n'
    environment = {"DRYSTONE_SERVER_HOST": "env", "DRYSTONE_SERVER_PORT": "2"}
    settings = load(data_dir, {"host": "flag"}, environment, text)

    assert (settings.host, settings.port, settings.log_level) == ("flag", 2, "error")
    assert settings.read_threads == ServerSettings().read_threads


def test_flags_that_were_not_given_do_not_count(data_dir):
    settings = load(data_dir, {"host": None, "port": None, "config": None})

    assert settings == ServerSettings(data_dir=data_dir)


def test_variables_of_others_do_not_count(data_dir):
    assert load(data_dir, (), {"DRYSTONE_CONFIG_DIR": "x", "HOME": "y"}).data_dir == data_dir


def test_values_come_in_their_types(data_dir, tmp_path):
    text = (
        'trusted_proxies = ["10.0.0.1"]\nstop_grace_s = 1.5\n'
        'tls_certificate = "~/cert.pem"\ntls_key = "key.pem"\n'
    )
    settings = load(data_dir, text=text)
    from_environment = load(data_dir, (), {"DRYSTONE_SERVER_TRUSTED_PROXIES": "a, b,"})

    assert settings.trusted_proxies == ("10.0.0.1",)
    assert settings.stop_grace_s == 1.5
    assert settings.tls_certificate == Path("~/cert.pem").expanduser()
    assert settings.tls_key == Path.cwd() / "key.pem"
    assert settings.has_tls
    assert from_environment.trusted_proxies == ("a", "b")


def test_named_file_is_read_and_may_name_the_data_directory(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text(f'data_dir = "{tmp_path}/elsewhere"\nport = 7\n')
    by_flag = load_settings({"config": path}, {})
    by_environment = load_settings({}, {"DRYSTONE_SERVER_CONFIG": str(path)})

    assert by_flag == by_environment
    assert (by_flag.data_dir, by_flag.port) == (tmp_path / "elsewhere", 7)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prot = 1", "no setting 'prot'"),
        ("port = true", "port is True"),
        ('port = "x"', "port is 'x'"),
        ("port = 65536", "port is 65536"),
        ("port = 1.5", "port is 1.5"),
        ("stop_grace_s = nan", "stop_grace_s is nan"),
        ("host = 7", "host is 7"),
        ('host = ""', "host is ''"),
        ('log_format = "xml"', "log_format is 'xml'"),
        ("trusted_proxies = [1]", "trusted_proxies is"),
        ("[table]\nport = 1", "no setting 'table'"),
        ('data_dir = "/x"', "sets data_dir"),
    ],
)
def test_line_that_does_not_fit_is_refused_with_its_source(data_dir, text, told):
    with pytest.raises(BadSetting, match=re.escape(told)) as caught:
        load(data_dir, text=text)

    assert str(data_dir) in str(caught.value)


def test_near_miss_is_told(data_dir):
    with pytest.raises(BadSetting) as caught:
        load(data_dir, (), {"DRYSTONE_SERVER_PROT": "1"})

    assert caught.value.advice == "Did you mean 'port'?"
    assert "the environment" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("port = 'x'", "It takes a whole number from "),
        ("host = 1", "It takes a text."),
        ("log_format = 'xml'", "It takes `"),
    ],
)
def test_what_would_fit_is_told_in_whole_sentences(data_dir, text, advice):
    with pytest.raises(BadSetting) as caught:
        load(data_dir, text=text)

    assert caught.value.advice.startswith(advice)


def test_half_of_tls_is_refused(data_dir):
    with pytest.raises(BadSetting, match="only one of"):
        load(data_dir, {"tls_key": "k"})


def test_file_that_cannot_be_read_is_refused(data_dir, tmp_path):
    with pytest.raises(UnreadableSettings, match="No such file"):
        load(data_dir, {"config": tmp_path / "missing.toml"})
    with pytest.raises(UnreadableSettings, match="is not TOML"):
        load(data_dir, text="= broken")
    (data_dir / "drystone.toml").write_bytes(b"\xff")
    with pytest.raises(UnreadableSettings, match="is not TOML"):
        load(data_dir)


def test_documented_table_is_that_of_the_program():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for setting in describe_settings():
        row = (
            f"| `{setting.key}` | `{setting.environment}` | {setting.values}"
            f" | {setting.default} | {setting.text} |"
        )
        assert row in lines


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("database", "postgres:/anna:hush@host/drystone"),
        ("database_replica", "pg://anna:hush@host/drystone"),
        ("objects", "s3:/key:hush@bucket"),
        ("bell", "valky://:hush@host"),
        ("cache", "http://:hush@host"),
        ("outlet", "valkey://:hush@host"),
        ("tracing", "anna:hush@host"),
        ("master_key", "hush"),
    ],
)
def test_address_with_a_typing_error_is_not_shown_with_its_password(data_dir, key, value):
    with pytest.raises(BadSetting, match=key) as caught:
        load_settings({key: value})
    assert "hush" not in f"{caught.value} {caught.value.advice}"
