"""Draw `docs/images/policy-test.svg`: what a person sees of a policy case that fails.

Run it from the top of a checkout after the report's look has changed: `python docs/policy_test_picture.py`.
"""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

from meshlab.bench.case_file.collect import collect
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.report import terminal
from meshlab.bench.session import Choice, run_cases
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PICTURE = Path("docs/images/policy-test.svg")
PAGE = Path("docs/policy-testing.md")
COMMAND = "$ meshlab test -f mesh cases/shop.yaml"


def main() -> None:
    """Run the page's own example with its policy widened, and draw the report."""
    with tempfile.TemporaryDirectory() as directory:
        files = re.findall(r"cat > (\S+) <<'END'\n(.*?)^END$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
        for name, text in files:
            path = Path(directory) / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(
                text.replace('customers.example/*"', 'customers.example/*", "https://partners.example/*"')
            )
        bench = LocalBench()
        try:
            mesh = bench.load(Sources((f"{directory}/mesh",)))
            cases = collect([Path(directory) / "cases/shop.yaml"])
            run = run_cases(mesh, cases, Choice("partner"))
        finally:
            bench.close()
        shown = io.StringIO()
        terminal.full(run, Console(file=shown, width=100, force_terminal=True, markup=False, highlight=False))
        picture = Console(file=io.StringIO(), record=True, width=100, force_terminal=True)
        picture.print(Text(COMMAND, style="bold"))
        picture.print(Text.from_ansi(shown.getvalue().replace(f"{directory}/", "")))
        svg = picture.export_svg(title="meshlab test", theme=MONOKAI)
    # A picture loads nothing from elsewhere.
    PICTURE.write_text(re.sub(r"@font-face \{.*?\}\n?", "", svg, flags=re.DOTALL))


if __name__ == "__main__":
    main()
