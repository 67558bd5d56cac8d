"""Parameters of the template and options of the pipeline's real parser: one set, and no value that only one takes."""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import sys
from typing import TYPE_CHECKING, Any

import meshcontract
import pytest

from deploy.steps.dataflow import names, template
from tests.deploy.harness import CONTRACT, ROOT

if TYPE_CHECKING:
    from types import ModuleType

# Options that a job on Dataflow has no use for: engine, files of settings and report follow from the template. And the
# dead letters of other functions, which a job with this contract's settings would take for its own.
_NOT_OFFERED = {
    "stream": {"pipeline_file", "table_file", "verbose"},
    "backfill": {
        "pipeline_file",
        "table_file",
        "verbose",
        "report",
        "engine",
        "dask_scheduler",
        "any_function",
    },
}
_NUMBERS = (
    "0", "1", "2", "00", "-1", "1.5", "0.5", "1.", "1e3", "99", "100", "256", "1000", "9999", "10000", "10001", "65535",
    "65536", "86399", "86400", "86401", "99999", "100000", "100001", "999999.999", "1000000", "1000001", "9999999",
    "10000000", "10000001", "1099511627776", "1099511627777", "9999999999999",
)  # fmt: skip
_TEXTS = (
    "", "true", "false", "TRUE", "auto", "events", "messages", "other", "insert-all", "storage-write", "load-files",
    "beam-storage-write", "projects/p/subscriptions/events", "projects/p/subscriptions/", "p.d.t", "p.d",
    "SELECT 1", "gs://a/b", "gs://a/b gs://c/d", "gs://a/b\t--c", "event.at", "event", "at",
)  # fmt: skip


def module(name: str, path: str) -> ModuleType:
    """Import one file of beam/, whose package needs Beam."""
    spec = importlib.util.spec_from_file_location(name, ROOT / path)
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found  # a dataclass looks its module up
    spec.loader.exec_module(found)
    return found


ARGUMENTS = module("beam_arguments", "beam/src/enrichment_beam/arguments.py")
LAUNCH = module("beam_launch", "beam/template/launch.py")


def options(mode: str) -> dict[str, argparse.Action]:
    parser: argparse.ArgumentParser = ARGUMENTS.parser()
    (commands,) = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    return {one.dest: one for one in commands.choices[mode]._actions if one.dest != "help"}


def taken(mode: str, name: str, value: str) -> bool:
    """Whether the pipeline takes a parameter that comes through the template's entry."""
    try:
        found, rest = ARGUMENTS.parse(LAUNCH.command_line([f"--mode={mode}", f"--{name}={value}"]))
    except SystemExit:
        return False
    return rest == [] and name in vars(found)


@pytest.mark.parametrize("mode", template.MODES)
def test_the_parameters_are_the_options_of_the_pipeline(mode: str) -> None:
    assert template.metadata(mode).keys() - {"mode"} == options(mode).keys() - _NOT_OFFERED[mode]


@pytest.mark.parametrize("mode", template.MODES)
def test_what_dataflow_takes_the_pipeline_takes(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name, parameter in template.metadata(mode).items():
        if name == "mode":
            continue
        (expression,) = parameter["regexes"]
        accepted = [value for value in (*_NUMBERS, *_TEXTS) if re.fullmatch(expression, value)]
        refused = [value for value in accepted if not taken(mode, name, value)]
        assert refused == [], f"{name}: {capsys.readouterr().err}"
        choices = options(mode)[name].choices
        if choices is not None:
            assert set(accepted) == set(choices), name


@pytest.mark.parametrize("mode", template.MODES)
def test_a_description_names_the_default_of_the_option(mode: str) -> None:
    for name, option in options(mode).items():
        described = template.metadata(mode).get(name)
        if described is None or option.default in (None, "", 0.0, []):
            continue
        default = str(option.default).lower().removesuffix(".0")
        assert f"{default} if absent" in described["helpText"], name


def test_the_pipeline_takes_the_environment_that_a_job_is_given(tmp_path: Any) -> None:  # noqa: ANN401
    settings = module("beam_settings", "beam/src/enrichment_beam/settings.py")
    contract = tmp_path / "contract.env"
    account = "DATAFLOW_SERVICE_ACCOUNT=meshpass-dataflow@acme-mesh.iam.gserviceaccount.com"
    contract.write_text(f"{CONTRACT.read_text().replace('example-project', 'acme-mesh')}\n{account}\n")
    values = meshcontract.load(contract)
    given = names.environment(values)
    read, _ = settings.WorkerSettings.read(
        {"PIPELINE_FILE": str(ROOT / "function" / "pipeline.toml")},
        overrides=given,
        gateway_ca_secret=names.gateway_ca(values),
        is_remote=True,
    )
    wanted = json.loads(given)
    wanted["K_SERVICE"] = wanted.pop("FUNCTION_NAME")  # as the function itself knows its name
    assert read.environment.items() >= wanted.items()
    assert read.gateway_ca_secret == names.gateway_ca(values)
