"""Every log line of the package starts with `beast:`, so that it can be told from the host's."""

import ast
from pathlib import Path

import pytest

import beast_lp

PACKAGE = Path(beast_lp.__file__).parent
FILES = sorted(PACKAGE.rglob('*.py'))


def _begins(message: ast.expr) -> list[str]:
    """Return how a message begins, one text per branch of a condition; empty if unknown."""
    if isinstance(message, ast.IfExp):
        return _begins(message.body) + _begins(message.orelse)
    if isinstance(message, ast.BinOp):
        return _begins(message.left)
    if isinstance(message, ast.JoinedStr):
        return _begins(message.values[0])
    return [str(message.value)] if isinstance(message, ast.Constant) else ['']


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_log_lines_start_with_the_name(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value) == 'logger'
        ):
            begins = _begins(node.args[0])
            assert all(text.startswith('beast: ') for text in begins), ast.unparse(node)
