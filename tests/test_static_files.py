"""The browser's modules, as a project's static files storage takes them."""

from __future__ import annotations

from pathlib import Path

from django.contrib.staticfiles.finders import AppDirectoriesFinder
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage


class Aggregating(ManifestStaticFilesStorage):
    """Puts hashes into what modules import, too."""

    support_js_module_import_aggregation = True
    max_post_process_passes = 10


def test_imports_can_be_hashed(tmp_path: Path) -> None:
    """No module waits for its own hash: neither in an import, nor in a comment, where Django 5.2 looks as well."""
    found = AppDirectoriesFinder(app_names=["trace_streaming"]).list([])
    paths = {path: (source, path) for path, source in found}
    for path, (source, _) in paths.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(Path(source.path(path)).read_bytes())
    storage = Aggregating(location=str(tmp_path), base_url="/static/")
    names: dict[str, str] = {}
    for name, hashed, processed in storage.post_process(paths):
        assert not isinstance(processed, Exception), f"{name}: {processed}"
        assert hashed is not None
        names[name] = hashed
    entrance = (tmp_path / names["trace_streaming/trace-viewer.js"]).read_text()
    assert Path(names["trace_streaming/viewer/trace_viewer.js"]).name in entrance
