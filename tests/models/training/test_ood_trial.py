"""What a release takes for its own kind: folders without films are refused before anything is drawn."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cspine.errors import Usage
from models.training import ood_trial


def test_a_folder_without_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    words = [str(tmp_path), str(tmp_path / "empty")]
    with pytest.raises(Usage, match=r"no file lies in .*empty"):
        CliRunner().invoke(ood_trial.main, words, catch_exceptions=False, standalone_mode=False)
