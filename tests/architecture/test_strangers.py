"""security.md, line 19: nobody prints or serialises a stranger's whole data set, and the web never reads one whole."""

import ast
from pathlib import Path

import pytest

from tests.architecture.tree import files, text

WHOLE = {"to_json", "to_json_dict", "formatted_lines", "dcmread", "iterall"}
PARSERS = {"pydicom", "imagecodecs", "PIL", "cv2"}


def calls(path: Path) -> set[str]:
    """Return the names of everything that a module calls."""
    nodes = [node.func for node in ast.walk(ast.parse(text(path))) if isinstance(node, ast.Call)]
    return {node.attr if isinstance(node, ast.Attribute) else ast.unparse(node) for node in nodes}


def imports(path: Path) -> set[str]:
    tree = ast.parse(text(path))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names}


def shown_whole(path: Path) -> list[str]:
    """Return where a module turns a data set into text: by `str`, `repr`, `print` or in an f-string."""
    found = []
    for node in ast.walk(ast.parse(text(path))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"str", "repr", "print", "format"}:
            shown = node.args
        elif isinstance(node, ast.FormattedValue):
            shown = [node.value]
        else:
            continue
        found += [ast.unparse(one) for one in shown if ast.unparse(one) in {"ds", "dataset", "data_set", "item"}]
    return found


@pytest.mark.parametrize("package", ["cspine", "web", "worker"])
def test_line_19_no_module_serialises_a_whole_data_set(package: str) -> None:
    for path in files(".py", below=package):
        assert calls(path).isdisjoint(WHOLE), path
        assert shown_whole(path) == [], path


def test_line_19_the_web_process_decodes_nothing() -> None:
    for path in files(".py", below="web"):
        assert imports(path).isdisjoint(PARSERS), path
        assert calls(path).isdisjoint({"decode_frames", "dcmread", "pixel_array"}), path
