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
            path.write_text(text.replace('customers.example/*"', 'customers.example/*", "https://partners.example/*"'))
        bench = LocalBench()
        try:
            mesh = bench.load(Sources((f"{directory}/mesh",)))
            cases = collect([Path(directory) / "cases/shop.yaml"])
            run = run_cases(mesh, cases, Choice("partner and read"))
        finally:
            bench.close()
        console = Console(
            file=io.StringIO(), record=True, width=100, force_terminal=True, markup=False, highlight=False
        )
        console.print(COMMAND, style="bold")
        terminal.full(run, console)
        svg = console.export_svg(title="meshlab test", theme=MONOKAI)
    svg = svg.replace(f"{directory}/", "")
    # A picture loads nothing from elsewhere.
    PICTURE.write_text(re.sub(r"@font-face \{.*?\}\n?", "", svg, flags=re.DOTALL))


if __name__ == "__main__":
    main()
