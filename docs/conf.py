"""The documentation as a site: ``make docs`` builds it with Sphinx, and what is not right fails the build."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django
from django.core.management import call_command
from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cuga_site.settings")
django.setup()

import trace_streaming  # noqa: E402

project = "django-trace-streaming"
release = version = trace_streaming.__version__
copyright = "the contributors of django-trace-streaming"  # noqa: A001

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "sphinxcontrib.openapi"]
exclude_patterns = ["requirements.*"]

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"{project} {release}"
html_copy_source = False
html_show_sphinx = False

OUTSIDE = {
    "../CHANGELOG.md": "project/changelog.md",
    "../SECURITY.md": "project/reporting.md",
    "../bench/RESULTS.md": "project/benchmarks.md",
    "../packages/client/README.md": "project/client.md",
}
"""Files of the repository, as the pages link to them, and the pages that include them."""


def lead_inside(app: Sphinx, page: str, source: list[str]) -> None:
    """Links to the repository's own files go to the pages that hold them."""
    up = "../" * page.count("/")
    for outside, inside in OUTSIDE.items():
        source[0] = source[0].replace(f"]({up}{outside}", f"]({up}{inside}")


def write_schema(app: Sphinx) -> None:
    """The REST API, as drf-spectacular sees it."""
    call_command("spectacular", file=str(HERE / "reference" / "openapi.yaml"), validate=True, fail_on_warn=True)


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", write_schema)
    app.connect("source-read", lead_inside)
