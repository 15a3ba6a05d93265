"""docs/SERVICES.md is a program that runs, from its first block to its last."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamhub_orm.init import make_installation

if TYPE_CHECKING:
    import pytest

PAGE: Final = Path(__file__).parents[2] / "docs/SERVICES.md"
BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_blocks_run_in_order_on_a_fresh_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One namespace for all; a failure is shown with the line of the page."""
    monkeypatch.chdir(tmp_path)
    make_installation(Path("demo-data"))
    text = PAGE.read_text(encoding="utf-8")
    found = list(BLOCK.finditer(text))
    assert found
    namespace: dict[str, object] = {}
    for block in found:
        lines_before = text[: block.start(1)].count("\n")
        code = compile("\n" * lines_before + block[1], str(PAGE), "exec")
        exec(code, namespace)  # noqa: S102 - our own text
