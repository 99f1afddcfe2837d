"""Makes `.venv-rivals`: the libraries that benchmarks compare with, apart from what LeaF uses.

    .venv/bin/python tools/rivals.py

The rivals come pinned and alone; torch, TRL and all else they need are those of the environment
that runs this, so that both sides of a comparison compute with the same. What is there already is
kept.
"""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv-rivals"

RIVALS = (
    "liger-kernel==0.8.5",
    "lm-eval==0.4.13",
    "antlr4-python3-runtime==4.11.0",  # lm-eval's mathematics insists on it
    "sacrebleu==2.5.1",  # and its metrics import this, which takes the rest
    "portalocker==3.2.0",
    "tabulate==0.9.0",
    "colorama==0.4.6",
    "lxml==6.0.2",
)


def main() -> None:
    """Make the environment, unless it is there with these very versions; print its Python."""
    python = FOLDER / "bin" / "python"
    # As a folder of packages, whose own .pth files count: one leads to the checkout.
    shared = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})"
    wanted = "\n".join([sys.version, shared, *RIVALS])
    done = FOLDER / "done.txt"
    if not (done.is_file() and done.read_text() == wanted):
        venv.create(FOLDER, clear=True, with_pip=False)
        (packages,) = FOLDER.glob("lib/python*/site-packages")
        (packages / "shared.pth").write_text(shared + "\n")
        words = ["--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run(
            [sys.executable, "-m", "pip", *words, "--no-deps", *RIVALS],
            check=True,
            stdout=sys.stderr,
        )
        done.write_text(wanted)
    print(python)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{FOLDER}: not made, as pip failed ({error.returncode}); its own words are above")
