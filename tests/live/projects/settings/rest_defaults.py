"""other defaults of REST framework: permissions, renderers, parsers, pages, filters, versions, errors, dates"""

from typing import Any

from tests.live.projects.settings.base import *  # noqa: F403

REST_FRAMEWORK: dict[str, Any] = {  # type: ignore[no-redef]
    **REST_FRAMEWORK,  # noqa: F405
    "DEFAULT_PERMISSION_CLASSES": ["tests.test_compatibility.Nobody"],
    "DEFAULT_RENDERER_CLASSES": ["tests.test_compatibility.Shouting"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.FormParser"],
    "DEFAULT_PAGINATION_CLASS": "tests.test_compatibility.Pages",
    "DEFAULT_FILTER_BACKENDS": ["tests.test_compatibility.Nothing"],
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.AcceptHeaderVersioning",
    "DEFAULT_VERSION": "v9",
    "ALLOWED_VERSIONS": ["v9"],
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "tests.test_compatibility.teapot",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
    "DATETIME_FORMAT": "%d.%m.%Y",
    "DATETIME_INPUT_FORMATS": ["%d.%m.%Y"],
    "NON_FIELD_ERRORS_KEY": "errors",
    "COERCE_DECIMAL_TO_STRING": False,
    "UNICODE_JSON": False,
    "COMPACT_JSON": False,
    "STRICT_JSON": False,
    "URL_FORMAT_OVERRIDE": None,
    "SEARCH_PARAM": "q",
    "ORDERING_PARAM": "by",
}
