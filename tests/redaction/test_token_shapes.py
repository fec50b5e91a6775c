"""The table of token formats: each line hides its example and nothing else."""

from __future__ import annotations

import datetime as dt
import json
import re
from urllib.parse import urlsplit

import pytest

from tests.security.redaction_corpus import A, X
from trace_streaming.redaction import redact_text
from trace_streaming.redaction.formats.shapes import SHORTEST, Shape, crc32_base62
from trace_streaming.redaction.formats.token_shapes import CHECKED, PATTERNS, SHAPES

EXAMPLES = {
    "airtable token": "pat" + A(14) + "." + X(64),
    "asaas token": "aact" + "_prod_" + A(30),
    "azure secret": "a.c8" + "Q~" + A(34),
    "braintree token": X(32),
    "configcat key": A(22) + "/" + A(22, "b"),
    "datastax token": A(40),
    "discord token": "NT" + A(24) + "." + A(6) + "." + A(27),
    "facebook token": "EAA" + "t" + A(120),
    "google token": "0" + A(60),
    "jwt": "eyJ" + A(30) + ".eyJ" + A(40) + "." + A(43),
    "mailchimp key": X(32) + "-us" + "21",
    "mapbox token": "sk" + ".eyJ" + A(60) + "." + A(22),
    "maxmind key": A(6) + "_" + A(29) + "_mmk",
    "onepassword key": "A" + "3-ABCDE6-FGHIJ7KLMN8-OPQR9-STUV2-WXYZ3",
    "openshift token": A(43),
    "salesforce token": "AQ" + A(90),
    "telegram token": "AA" + A(33),
    "twilio key": X(32),
    "twitter token": "A" * 21 + A(90),
    "terraform token": A(14) + ".atlas" + "v1." + A(60),
}
"""Of the formats that have a form of their own."""
BEFORE = {
    "braintree token": "access_token$production$" + A(16, "c").lower() + "$",
    "configcat key": "configcat-sdk-1/",
    "datastax token": "AstraCS:",
    "google token": "1//",
    "openshift token": "sha256~",
    "salesforce token": "00D" + A(12) + "!",
    "telegram token": "123456789:",
    "twilio key": "AC" + X(32, "a") + ":",
}
"""What they are told by, and what stays."""


def contexts(token: str, rule: str) -> list[tuple[str, str]]:
    """A text with the token in it, and what becomes of that."""
    marker = f"[redacted:{rule}]"
    texts = [
        "It is {}, they said.",
        "deploy {} --now",
        "the first\n{}\nthe last",
        "<{}>",
        "see https://h.io/x?a={}&b=1",
    ]
    found = [(text.format(token), text.format(marker)) for text in texts]
    return [*found, (json.dumps({"said": token, "n": 1}), json.dumps({"said": marker, "n": 1}))]


def begins_otherwise(shape: Shape) -> bool:
    """Whether a shorter prefix of the table begins so, too: what is no token of the one may be one of the other."""
    others = {other.prefix for other in SHAPES if other is not shape}
    return any(shape.prefix.startswith(prefix) for prefix in others)


def test_the_table_is_well_formed() -> None:
    """A hundred and fifty lines at the least, in order, each once, each with what a person needs to check it."""
    assert len(SHAPES) >= 150
    assert list(SHAPES) == sorted(SHAPES, key=lambda shape: (shape.rule, shape.prefix))
    assert len({(shape.prefix, shape.alphabet) for shape in SHAPES}) == len(SHAPES)
    for shape in (*SHAPES, *PATTERNS):
        assert re.fullmatch(r"[a-z][a-z ]{1,29}", shape.rule)
        assert urlsplit(shape.source).scheme == "https"
        assert urlsplit(shape.source).hostname
    for shape in SHAPES:
        assert len(shape.prefix) >= 2
        assert len(shape.prefix) + shape.least >= SHORTEST
        assert shape.most == 0 or shape.most >= shape.length
    assert dt.date.fromisoformat(CHECKED) <= dt.datetime.now(dt.UTC).date()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.rule} {shape.prefix}")
def test_a_token_goes_and_nothing_else_of_its_text(shape: Shape) -> None:
    """In prose, in a command, on a line of its own, in a tag, in a query, in JSON. Invariant 4."""
    for text, redacted in contexts(shape.example, shape.rule):
        assert redact_text(text) == redacted


@pytest.mark.parametrize("rule", EXAMPLES)
def test_a_token_of_its_own_form_goes_and_nothing_else_of_its_text(rule: str) -> None:
    """Those that a prefix and an alphabet do not tell. Invariant 4."""
    assert EXAMPLES.keys() == {pattern.rule for pattern in PATTERNS}
    before = BEFORE.get(rule, "")
    for text, redacted in contexts(before + EXAMPLES[rule], rule):
        assert redact_text(text) == redacted.replace("[redacted:", before + "[redacted:", 1)


@pytest.mark.parametrize(
    "shape",
    [shape for shape in SHAPES if not begins_otherwise(shape)],
    ids=lambda shape: f"{shape.rule} {shape.prefix}",
)
def test_what_is_shorter_than_a_token_stays(shape: Shape) -> None:
    """One character less than the least."""
    text = f"It is {shape.example[: len(shape.prefix) + shape.least - 1]}, they said."
    assert redact_text(text) == text


def test_half_a_token_goes_where_nothing_else_begins_so() -> None:
    """A log cuts them, and half a secret is one."""
    token = "gh" + "p_" + A(18)
    assert redact_text(f"see {token}") == "see [redacted:github token]"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\n    ", "\\n"])
def test_a_token_goes_that_goes_on_in_the_next_line(line_end: str) -> None:
    """A terminal breaks them. What follows has to be the rest of its length; words stay. Invariant 4."""
    token = "gh" + "p_" + A(36)
    assert redact_text(f"see {token[:20]}{line_end}{token[20:]} there") == "see [redacted:github token] there"
    assert redact_text(f"see {token[:20]}{line_end}and more") == f"see {token[:20]}{line_end}and more"


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.checksum], ids=lambda shape: shape.prefix)
def test_a_checksum_makes_a_token_of_what_does_not_look_like_one(shape: Shape) -> None:
    """Without a digit and a capital before it. A wrong one hides nothing from us."""
    assert shape.checksum is not None
    end = len(shape.checksum(shape.prefix, ""))
    body = "a" * (shape.length - end)
    assert redact_text(f"x {shape.prefix}{body}{shape.checksum(shape.prefix, body)}") == f"x [redacted:{shape.rule}]"
    wrong = shape.example[:-1] + ("1" if shape.example[-1] == "0" else "0")
    assert redact_text(f"x {wrong}") == f"x [redacted:{shape.rule}]"


def test_the_checksum_is_that_of_published_tokens() -> None:
    """One that its scanner's documentation prints, long revoked."""
    assert crc32_base62("ghp_", "sbUsUmRNn8X74dFU0DJ9Fm1mvdCgtH") == "474T38"


@pytest.mark.parametrize(
    "before", ["\\n", "%3D", "\\u003d", "\x1b[32m", "\x1b[1;31m", "token_", "x.", "a-", "=", ":", "/"]
)
def test_a_token_is_found_behind_what_sticks_to_it(before: str) -> None:
    """Escapes, colours, joints."""
    token = "gl" + "pat-" + A(20)
    assert redact_text(f"see {before}{token} there") == f"see {before}[redacted:gitlab token] there"


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn-contrib-lightning-0.6.2, sk-estimators-of-2026-and-others",
        "pip install pypi-publish-workflow-for-python-3-11 npm_config_registry_of_2026",
        "gpt-4o-mini-2024-07-18 claude-sonnet-4-5-20250929 re_compile_all_42_patterns_of_the_module",
        "pa-service-of-the-second-region-2026-11-27-and-more al-gore-rhythms-of-the-year-2000-or-so-they-said",
        "key-value-store-of-2026-and-more pk_live_of_table_user_2 ak_id_of_the_row_17_x fc-scheduler-42-of-the-pool",
        "hf_hub_download_of_model_7b r8_registers_of_the_machine xai-explainability-toolkit-for-models-of-2026",
        "secret_manager_of_the_second_stage_2026_with_more sess-4f3a2b1c9d8e7f60",
        "api-7f3c1a52-98b1-4c1e-9a41-0c2f6d1e5b77 sdk-build-2026-11-27-of-the-second-pipeline",
        "pat-of-the-day-2026-and-its-long-description.md path_of_the_0123456789abcdef_file",
        "/srv/app/gl-renderer/glrender-pipeline-2-of-many/ghost_writer_of_2026.py",
        "MTU_of_the_interface.eth0_1.and_of_the_others_in_the_bond_too",
        "SKU-0123456789-of-the-order SK_0123456789ABCDEF0123 API-REFERENCE-OF-2026-AND-LATER",
        "AIDANROSENBERGERSIXT44 AKIAEXAMPLEOFDOCUMENTS",
        "pk" + "_live_" + A(24),
        "phc" + "_" + A(43),
        "sha256:" + X(64) + " md5:" + X(32) + " cache_key_" + X(64),
        "db-" + A(26).upper() + " i-0123456789abcdef0 vpc-0a1b2c3d4e5f67890",
        "sk" + "-proj-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx gh" + "p_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ],
)
def test_what_only_begins_like_a_token_stays(text: str) -> None:
    """Names of packages, of models, of columns, of files; keys that are published; placeholders."""
    assert redact_text(text) == text
