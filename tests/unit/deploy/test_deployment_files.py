# SPDX-License-Identifier: Apache-2.0
"""Deployment files: their linters, and that all they name exists in the program."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from drystone.server.bootstrap.watching.checking import check_disk
from drystone.server.faces.metrics.app import PATH as METRICS_PATH
from drystone.server.faces.native import bell
from drystone.server.faces.native.operations import OPERATIONS
from drystone.server.settings import ENVIRONMENT_PREFIX, ServerSettings, load_settings

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
PROGRAMS = Path(sys.executable).parent
YAML = sorted(
    path for pattern in ("*.yaml", "*.yml") for path in DEPLOY.rglob(pattern)
    if path.name != "secret.yaml"
)  # fmt: skip
TEXTS = sorted(
    path for path in DEPLOY.rglob("*")
    if path.is_file() and path.name not in (".env", "secret.yaml") and path.suffix != ".lock"
)  # fmt: skip
PAGES = [ROOT / "docs" / "operations" / "README.md"]

EACH_TEXT = pytest.mark.parametrize("path", [*TEXTS, *PAGES], ids=lambda path: path.name)

PATHS = {operation.path for operation in OPERATIONS} | {bell.PATH, METRICS_PATH}
SECRETS = {"SECRET", "POSTGRES_PASSWORD", "STORE_ACCESS_KEY", "STORE_SECRET_KEY"}


def run(program, *arguments):
    """Runs a program of the environment; returns what it said if it complained."""
    done = subprocess.run(
        [PROGRAMS / program, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def documents(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def variables_of(path):
    """Yields each setting that a file gives a value, as the server would find it."""
    text = path.read_text()
    for name, value in re.findall(
        rf'({ENVIRONMENT_PREFIX}[A-Z0-9_]+)(?:=|: )("[^"\n]*"|[^\s\\`]+)', text
    ):
        yield name, re.sub(r"\$\{[^}]*\}", "SECRET", value).strip('"')


# --- what they name exists ------------------------------------------------------------------------


@EACH_TEXT
def test_every_setting_named_exists_and_takes_its_value(path):
    given = dict(variables_of(path))
    load_settings(environment={**given, f"{ENVIRONMENT_PREFIX}DATA_DIR": "/nowhere"})
    named = set(re.findall(rf"{ENVIRONMENT_PREFIX}([A-Z0-9_]*[A-Z0-9])", path.read_text()))
    known = {name.upper() for name in ServerSettings.__dataclass_fields__} | {"CONFIG"}

    assert not named - known


def test_a_setting_that_does_not_exist_is_found(tmp_path):
    wrong = tmp_path / "compose.yaml"
    wrong.write_text("environment:\n  DRYSTONE_SERVER_NO_SUCH: 1\n")
    with pytest.raises(Exception, match="no_such"):
        load_settings(environment=dict(variables_of(wrong)))


@EACH_TEXT
def test_every_command_and_flag_named_exists(path):
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    text = path.read_text().replace("\\\n", " ")
    # Where a container runs it, the program's name is the image's entry point.
    for typed in re.findall(r"(?<![\w./-])drystone((?: [a-z][a-z-]*){1,2})([^`\n]*)", text):
        words, rest = typed[0].split(), typed[1]
        if f"## `drystone {words[0]}" not in page:
            assert words[0] not in ("serve", "admin", "systemd"), typed
            continue
        typed_words = words if f"## `drystone {' '.join(words)}`" in page else words[:1]
        heading = f"## `drystone {' '.join(typed_words)}`"
        assert heading in page, typed
        described = page.partition(heading)[2].partition("\n## ")[0]
        for flag in re.findall(r"(?<= )--[a-z-]+", rest):
            assert re.search(rf"{flag}\b", described), (path.name, heading, flag)


@EACH_TEXT
def test_every_path_of_the_server_named_exists(path):
    text = path.read_text()
    named = set(re.findall(r"(?<![\w/])/v1/[a-z/]*[a-z]", text))

    assert not named - PATHS


def test_ports_are_those_that_the_server_listens_on():
    port = str(ServerSettings().port)
    named = {
        path.name: set(
            re.findall(
                r"(?:drystone|127\.0\.0\.1|EXPOSE|containerPort:|port:)[: ]+(\d{4})\b",
                path.read_text(),
            )
        )
        for path in TEXTS
    }
    assert {number for numbers in named.values() for number in numbers} == {port, "9464"}
    for name in ("deployment.yaml", "Containerfile", "nginx.conf", "Caddyfile"):
        assert port in named[name], name


def test_metrics_are_scraped_where_they_are_told():
    kubernetes = dict(variables_of(DEPLOY / "kubernetes" / "config.yaml"))
    [deployment] = documents(DEPLOY / "kubernetes" / "deployment.yaml")
    template = deployment["spec"]["template"]
    told = kubernetes["DRYSTONE_SERVER_METRICS"].rpartition(":")[2]
    container = template["spec"]["containers"][0]
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}

    assert template["metadata"]["annotations"]["prometheus.io/port"] == told == ports["metrics"]
    assert template["metadata"]["annotations"]["prometheus.io/path"] == METRICS_PATH


@pytest.mark.parametrize(
    ("path", "grace_s"),
    [
        ("compose.yaml", r"stop_grace_period: (\d+)s\n\n  proxy"),
        ("systemd/drystone.service", r"TimeoutStopSec=(\d+)"),
        ("kubernetes/deployment.yaml", r"terminationGracePeriodSeconds: (\d+)"),
    ],
)
def test_whoever_stops_the_server_waits_longer_than_it_takes(path, grace_s):
    found = re.search(grace_s, (DEPLOY / path).read_text())

    assert int(found[1]) >= ServerSettings().stop_grace_s + 10


# --- metrics --------------------------------------------------------------------------------------


def described_metrics():
    """Returns the kind of each metric; that the page is true is tested with a real server."""
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    return dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", page, re.MULTILINE))


def metrics_in(expression):
    return set(re.findall(r"\b((?:drystone|process)_[a-z0-9_]+)", expression))


def is_told(name, described):
    if name in described:
        return described[name] != "histogram"
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    return base != name and described.get(base) == "histogram"


def expressions():
    dashboard = json.loads((DEPLOY / "grafana" / "drystone.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']}", target["expr"]
    [rules] = documents(DEPLOY / "prometheus" / "alerts.yml")
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_metric_asked_for_is_told(where, expression):
    described = described_metrics()
    named = metrics_in(expression)

    assert named or "up{" in expression
    assert not {name for name in named if not is_told(name, described)}
    assert expression.count("(") == expression.count(")")
    assert expression.count("{") == expression.count("}")


def test_a_metric_that_does_not_exist_is_found():
    described = described_metrics()

    assert not is_told("drystone_no_such_total", described)
    assert not is_told("drystone_commit_seconds", described), "a histogram has no such sample"
    assert is_told("drystone_commit_seconds_bucket", described)


def test_labels_asked_for_are_those_that_are_told():
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    labels = {
        name: set(re.findall(r"`(\w+)`", shown)) | {"instance", "worker", "le", "job"}
        for name, shown in re.findall(r"^\| `(\w+)` \| \w+ \| ([^|]+) \|", page, re.MULTILINE)
    }
    for where, expression in expressions():
        for name, selected in re.findall(r"\b((?:drystone|process)_\w+)\{([^}]*)\}", expression):
            base = name if name in labels else re.sub(r"_(bucket|sum|count)$", "", name)
            asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selected))
            assert asked <= labels[base], (where, name)


def test_dashboard_is_one_that_grafana_reads():
    dashboard = json.loads((DEPLOY / "grafana" / "drystone.json").read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    places = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not places & cells, f"{panel['title']} lies on another"
        places |= cells
        assert panel["type"] in ("row", "timeseries", "stat")
        assert panel["type"] == "row" or panel["targets"]

    assert len(ids) == len(set(ids))
    assert {"title", "uid", "schemaVersion", "templating", "time"} <= dashboard.keys()


def test_every_alert_says_what_to_do():
    guide = (ROOT / "docs" / "operations" / "README.md").read_text()
    [rules] = documents(DEPLOY / "prometheus" / "alerts.yml")
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert {"alert", "expr", "for", "labels", "annotations"} == rule.keys()
            assert rule["labels"]["severity"] in ("page", "ticket")
            assert f"`{rule['alert']}`" in guide, rule["alert"]


# --- their own linters ----------------------------------------------------------------------------


def test_yaml_is_clean():
    rules = "{extends: default, rules: {line-length: {max: 130}, document-start: disable}}"

    assert not run("yamllint", "--strict", "-d", rules, *YAML)


def test_compose_file_keeps_its_schema():
    assert not run(
        "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml"
    )


def test_compose_file_names_no_secret_and_no_moving_tag():
    [compose] = documents(DEPLOY / "compose.yaml")
    for name, service in compose["services"].items():
        image = service["image"]
        assert name == "drystone" or re.search(r":.*\d", image), image
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|DATABASE", key) and "$" not in str(value):
                assert key == "POSTGRES_DB", key


def test_whoever_is_waited_for_until_it_is_well_says_whether_it_is():
    """In this file: an image in the OCI format has no health check of its own."""
    [compose] = documents(DEPLOY / "compose.yaml")
    services = compose["services"]
    waited_for = {
        name
        for service in services.values()
        for name, wait in service.get("depends_on", {}).items()
        if wait["condition"] == "service_healthy"
    }
    image = (DEPLOY / "container" / "Containerfile").read_text()

    assert waited_for == {"postgres", "store", "drystone"}
    assert all("healthcheck" in services[name] for name in waited_for)
    check = json.dumps(services["drystone"]["healthcheck"]["test"][1:], ensure_ascii=False)
    assert f"CMD {check}" in image


def test_container_file_is_clean():
    assert not run("hadolint", DEPLOY / "container" / "Containerfile")


def test_container_copies_only_what_is_not_ignored():
    kept = [
        line[1:]
        for line in (ROOT / ".containerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    text = (DEPLOY / "container" / "Containerfile").read_text().replace("\\\n", " ")
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists(), source
            assert any(Path(source).match(pattern) for pattern in kept), source


def test_locks_of_the_image_are_those_of_the_program():
    specification = importlib.util.spec_from_file_location(
        "write_image_locks", ROOT / "tools" / "write_image_locks.py"
    )
    tool = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(tool)
    for name, text in tool.render().items():
        assert (DEPLOY / "container" / name).read_text() == text, "run tools/write_image_locks.py"
        assert text.count("==") > 3
        assert not re.search(r"==[^\n]*\\\n(?!    --hash)", text)


MANIFESTS = [
    path for path in YAML if path.parent.name == "kubernetes" and path.name != "kustomization.yaml"
]


def test_kubernetes_manifests_keep_their_schemas():
    assert not run("kubernetes-validate", "--strict", "--quiet", *MANIFESTS)


def test_a_manifest_that_does_not_keep_its_schema_is_found(tmp_path):
    wrong = tmp_path / "service.yaml"
    text = (DEPLOY / "kubernetes" / "service.yaml").read_text()
    wrong.write_text(text.replace("targetPort", "targetDoor"))

    assert "targetDoor" in run("kubernetes-validate", "--strict", "--quiet", wrong)


def test_kustomization_names_every_manifest_and_no_other():
    [kustomization] = documents(DEPLOY / "kubernetes" / "kustomization.yaml")
    files = {path.name for path in MANIFESTS} - {"secret.example.yaml"} | {"secret.yaml"}

    assert set(kustomization["resources"]) == files


def test_kubernetes_manifests_name_each_other_rightly():
    found = {}
    for path in MANIFESTS:
        for document in documents(path):
            found[document["kind"]] = document
    pods = found["Deployment"]["spec"]["template"]
    labels = pods["metadata"]["labels"].items()
    container = pods["spec"]["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    probed = {
        container[probe]["httpGet"]["port"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }

    assert found["Service"]["spec"]["selector"].items() <= labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].items() <= labels
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items() <= labels
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "drystone"
    assert probed | {found["Service"]["spec"]["ports"][0]["targetPort"]} <= ports
    assert {next(iter(source.values()))["name"] for source in container["envFrom"]} == {
        found["ConfigMap"]["metadata"]["name"],
        found["Secret"]["metadata"]["name"],
    }


def test_data_directory_of_a_pod_is_a_folder_in_its_volume():
    """The volume itself belongs to root: the server, not being root, cannot close it to others."""
    settings = dict(variables_of(DEPLOY / "kubernetes" / "config.yaml"))
    [deployment] = documents(DEPLOY / "kubernetes" / "deployment.yaml")
    pod = deployment["spec"]["template"]["spec"]
    data_dir = Path(settings["DRYSTONE_SERVER_DATA_DIR"])
    mounts = [Path(mount["mountPath"]) for mount in pod["containers"][0]["volumeMounts"]]

    assert pod["securityContext"]["runAsUser"] != 0
    assert any(mount in data_dir.parents for mount in mounts)
    assert pod["enableServiceLinks"] is False, "variables of services may look like settings"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_unit_is_one_that_systemd_takes_and_is_hardened(tmp_path):
    unit = tmp_path / "drystone.service"
    program = tmp_path / "drystone"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = (DEPLOY / "systemd" / "drystone.service").read_text()
    unit.write_text(text.replace("/opt/drystone/bin/drystone serve", f"{program} serve"))
    environment = {**os.environ, "SYSTEMD_COLORS": "0"}
    verified = subprocess.run(
        ["systemd-analyze", "verify", unit],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    weighed = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", unit],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip

    assert str(unit) not in verified.stderr
    assert "drystone.service:" not in verified.stderr
    assert weighed.returncode == 0, weighed.stdout[-500:]


def test_unit_does_not_give_up_what_may_be_back_in_a_minute():
    """A database that is away when the machine starts ends the server as a wrong setting does."""
    text = (DEPLOY / "systemd" / "drystone.service").read_text()

    assert "\nRestart=always\n" in text
    assert "\nStartLimitIntervalSec=0\n" in text
    assert "RestartPreventExitStatus" not in text


def test_the_folder_for_data_is_one_that_the_server_can_use(tmp_path):
    """Containers and units make it themselves, closed to others: that is enough for readiness."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    check_disk(folder)
