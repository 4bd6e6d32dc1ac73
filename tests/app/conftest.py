from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from transformers.utils import logging as transformers_logging
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # helpers of other test folders

from mtrans.app.cli import app
from train.small import make_all


@dataclass(frozen=True)
class Done:
    """What a command did."""

    status: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture(autouse=True)
def _transformers_as_before() -> Iterator[None]:
    """Commands quieten transformers; other tests get it as it was."""
    before = transformers_logging.get_verbosity()
    yield
    transformers_logging.set_verbosity(before)
    transformers_logging.enable_progress_bar()


@pytest.fixture(scope="session")
def mtrans() -> Command:
    """Runs a command line: `mtrans("adapt", "--data", path)`."""

    def run(*words: object) -> Done:
        result = CliRunner().invoke(app, [str(w) for w in words], prog_name="mtrans")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with backbone/, clips/, train.jsonl."""
    folder = tmp_path_factory.mktemp("small")
    make_all(folder)
    return folder


@pytest.fixture(scope="session")
def adapt_words(small: Path) -> list[object]:
    """An adapt command of a second, without its --out."""
    settings = {
        "prompt.template": "tiny",
        "cache_dir": small / "cache",
        "lora.rank": 2,
        "train.batch_size": 4,
        "train.max_steps": 4,
    }
    sets = [word for k, v in settings.items() for word in ("--set", f"{k}={v}")]
    data = ["--data", small / "train.jsonl", "--val", small / "train.jsonl"]
    return ["adapt", "--backbone", small / "backbone", "--device", "cpu", *data, *sets]


@pytest.fixture(scope="session")
def run(mtrans: Command, small: Path, adapt_words: list[object]) -> Path:
    """A run folder, adapted and evaluated by the command line."""
    folder = small / "run"
    done = mtrans(*adapt_words, "--out", folder)
    assert done.status == 0, done.err
    done = mtrans("eval", folder, "--data", small / "train.jsonl")
    assert done.status == 0, done.err
    return folder


def one_line_error(done: Done, *words: str) -> None:
    """Holds that a command failed as a user's mistake should: one line, warnings apart, and 2."""
    assert done.status == 2, (done.out, done.err)
    lines = [x for x in done.err.splitlines() if x.strip() and not x.startswith("warning: ")]
    assert len(lines) == 1, done.err
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]
