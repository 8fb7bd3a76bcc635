"""The code that newcomers copy runs as it stands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


PAGES = [
    "README.md",
    "docs/quick_tour.md",
    "docs/user_guide/cdc.md",
    "docs/user_guide/dacae.md",
    "docs/user_guide/decda.md",
    "docs/user_guide/deepclue.md",
    "docs/user_guide/displays.md",
    "docs/user_guide/ensemble.md",
    "docs/user_guide/itec.md",
    "docs/user_guide/uspec.md",
    "docs/user_guide/viewgraph.md",
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_run_in_order(page, tmp_path, monkeypatch):
    blocks = re.findall(
        r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S
    )
    assert blocks
    monkeypatch.chdir(tmp_path)  # some write files
    namespace = {}
    for block in blocks:
        exec(compile(block, page, "exec"), namespace)
    assert len(namespace["model"].get_params()) > 5


def test_ci_calls_the_test_command_of_the_readme():
    command = "python -m pip install nox && python -m nox -s tests"
    assert f"```shell\n{command}\n```" in (ROOT / "README.md").read_text()
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()
