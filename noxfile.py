"""The unit tests with each Python and Django that is supported, and with the newest and oldest of all else."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv|virtualenv"

EXTRAS = ("api", "otlp", "redis", "postgres", "metrics", "prices", "remote", "uvicorn")
"""What a project may install; the tools of the tests are always the newest."""
SUPPORTED = [("3.11", "5.2"), ("3.12", "5.2"), ("3.12", "6.1"), ("3.13", "5.2"), ("3.13", "6.1")]
ELSEWHERE = ("tests/live", "tests/browser", "tests/client", "tests/security/test_flood.py")
"""What needs servers, a browser or node, or takes long: ``make test`` and ``make flood`` run it."""


@nox.session
@nox.parametrize("dependencies", ["newest", "oldest"])
@nox.parametrize(("python", "django"), SUPPORTED)
def tests(session: nox.Session, django: str, dependencies: str) -> None:
    """Run the unit tests; ``nox -- ARGUMENTS`` hands pytest others."""
    pins = [f"Django=={django}.*"] if dependencies == "newest" else [f"Django=={django}", *lower_bounds()]
    constraints = Path(session.create_tmp()) / "constraints.txt"
    constraints.write_text("\n".join(pins))
    session.install("--constraint", str(constraints), "--editable", f".[{','.join(EXTRAS)},test]")
    session.run("python", "-m", "pytest", *(session.posargs or [f"--ignore={path}" for path in ELSEWHERE]))


def lower_bounds() -> list[str]:
    """What ``setup.cfg`` allows at the least, exactly; Django's is the session's."""
    settings = ConfigParser()
    settings.read("setup.cfg")
    texts = [settings["options"]["install_requires"], *(settings["options.extras_require"][extra] for extra in EXTRAS)]
    needed = [Requirement(line) for line in "\n".join(texts).splitlines() if line]
    return [f"{it.name}{it.specifier}".replace(">=", "==") for it in needed if it.name != "Django"]
