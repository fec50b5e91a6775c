"""What is hidden from everybody."""

from __future__ import annotations

import copy
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trace_streaming.events.freezing import JSON, KEPT_CHARACTERS, encode, freeze_details
from trace_streaming.redaction import redact, redact_text, redactor, texts
from trace_streaming.redaction.redactor import REDACTED_BY_KEY
from trace_streaming.redaction.secret_keys import is_secret_key


@pytest.mark.parametrize(
    "key",
    ["password", "PASSWORD", "db.password", "dbPassword", "DBPassword", "password1", "passwordHash", "user_passwd"]
    + ["api_key", "apiKey", "APIKey", "X-Api-Key", "apikey", "OPENAI_API_KEY", "accessKeyId", "private_key_pem"]
    + ["token", "access_token", "accessToken", "x-auth-token", "Authorization", "Set-Cookie", "client_secret"]
    + [
        "credentials",
        "passphrase",
        "signing key",
        "AWS_SECRET_ACCESS_KEY",
        "пароль",
        "mot de passe",
        "ｐａｓｓｗｏｒｄ",
        '["password",1]',
    ],
)
def test_keys_that_name_a_secret_are_recognised(key: str) -> None:
    """Secrets are named in many spellings; each is judged by its whole segments. Invariant 4."""
    assert is_secret_key(key)


@pytest.mark.parametrize(
    "key",
    ["", "tool", "token_count", "max_tokens", "tokens", "tokenizer", "secretary", "key", "keyboard", "monkey", "pass"]
    + ["compass", "api", "api_keyboard", "primary_key", "author", "authorised", "prompt", "привет", "\ufffd", "123"],
)
def test_other_keys_are_left_alone(key: str) -> None:
    """A word that only contains such a name hides nothing: a trace full of holes is of no use."""
    assert not is_secret_key(key)


@pytest.mark.parametrize("key", ["x" * 300 + "_password", "x" * 300 + "_access_token"])
def test_a_secret_at_the_end_of_a_long_key_is_recognised(key: str) -> None:
    """The length of a key's prefix does not decide whether its value is shown. Invariant 4."""
    assert is_secret_key(key)


@pytest.mark.parametrize("secret", ["hunter2", 1234, 0, ["a", "b"], {"plain": "hunter2"}])
def test_a_secrets_whole_value_is_replaced(secret: JSON) -> None:
    """Whatever the value is, nothing of it is left. Invariant 4."""
    assert redact({"password": secret, "user": "ada"}) == {"password": REDACTED_BY_KEY, "user": "ada"}


@pytest.mark.parametrize("value", [None, "", False, True, "${DB_PASSWORD}", "This field is required."])
def test_a_secret_that_is_absent_is_shown_as_absent(value: JSON) -> None:
    """That no password was given, or whether one was, is no secret, and helps who looks for the fault."""
    assert redact({"password": value}) == {"password": value}


def test_secrets_are_found_at_any_depth() -> None:
    """Lists in objects in lists are walked through. Invariant 4."""
    details: dict[str, JSON] = {"calls": [[{"headers": {"Authorization": "Bearer x", "Accept": "*/*"}}], 1, "text"]}
    assert redact(details) == {"calls": [[{"headers": {"Authorization": REDACTED_BY_KEY, "Accept": "*/*"}}], 1, "text"]}


def test_keys_keep_their_order() -> None:
    """A watcher reads the details in the order in which they were written."""
    assert list(redact({"b": 1, "password": 2, "a": 3})) == ["b", "password", "a"]


def test_judging_a_long_key_does_not_keep_it_in_memory() -> None:
    """Keys may be texts of megabytes; what was judged once is let go."""
    key = "x" * 1_000_000
    before = sys.getrefcount(key)
    is_secret_key(key)
    assert sys.getrefcount(key) == before


@pytest.mark.parametrize(
    "key",
    ["next_token", "nextPageToken", "eos_token", "cost_per_token", "cache_key", "sort_key", "public_key", "foreign_key"]
    + ["has_password", "password_length", "secret_name", "credentials_path", "token_type", "password_changed_at"],
)
def test_what_is_told_about_a_secret_is_none(key: str) -> None:
    """Cursors of lists, a model's tokens, and whether, when and how long."""
    assert not is_secret_key(key)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("to ada@example.com, soon", "to [redacted:email], soon"),
        ("postgres://shop:hunter2@db/shop", "postgres://shop:[redacted:url password]@db/shop"),
        ("https://example.com/?page=2&api_key=hunter2&x=1", "https://example.com/?page=2&api_key=[redacted:key]&x=1"),
        ("Authorization: Bearer hunter2", "Authorization: Bearer [redacted:key]"),
        ('{"a": 1, "password": "hunter2", "b": 2}', '{"a": 1, "password": "[redacted:key]", "b": 2}'),
        ('{\\"password\\": \\"hun\\\\\\"ter2\\", \\"b\\": 2}', '{\\"password\\": \\"[redacted:key]\\", \\"b\\": 2}'),
        ('{"credentials": ["a", {"b": "]"}], "c": 3}', '{"credentials": [redacted:key], "c": 3}'),
        ("user=ada password=hunter2 host=db", "user=ada password=[redacted:key] host=db"),
        ("4111 1111 1111 1111 123", "[redacted:card]"),
        ("IBAN DE89 3704 0044 0532 0130 00 EUR", "IBAN [redacted:iban] EUR"),
        ("call (+1) or +1 415 555 2671.", "call (+1) or [redacted:phone]."),
        ("aa 01 23 45 67 89 bb, call 01 23 45 67 89", "aa 01 23 45 67 89 bb, call [redacted:phone]"),
    ],
)
def test_only_the_secret_part_of_a_text_is_replaced(text: str, redacted: str) -> None:
    """The rest of it is what a watcher looks for."""
    assert redact_text(text) == redacted


@pytest.mark.parametrize("number", [4111111111111111, 378282246310005, 4222222222222])
def test_a_card_number_may_be_a_number(number: int) -> None:
    """By issuer and checksum; times in milliseconds and other large numbers stay."""
    assert redact({"n": number, "list": [number]}) == {"n": "[redacted:card]", "list": ["[redacted:card]"]}
    assert redact({"n": number + 1, "ms": 1763919587000}) == {"n": number + 1, "ms": 1763919587000}


def test_keys_are_redacted_and_kept_apart() -> None:
    """A key may be an address; two of them stay two, in their order, deep inside, too."""
    inside: JSON = {"ada@example.com": 1, "bob@example.com": 2, "other": 3, "[redacted:email] (2)": 4}
    expected = {"[redacted:email]": 1, "[redacted:email] (3)": 2, "other": 3, "[redacted:email] (2)": 4}
    redacted = redact({"seats": [inside], "eve@example.com": 5})
    assert redacted == {"seats": [expected], "[redacted:email]": 5}
    assert redact(copy.deepcopy(redacted)) == redacted


def test_a_phone_number_is_known_by_its_key() -> None:
    """Ten digits may be anything, except where the key says what they are."""
    assert redact({"phone": "4155552671", "mobile_number": 4155552671, "order": "4155552671"}) == {
        "phone": "[redacted:phone]",
        "mobile_number": "[redacted:phone]",
        "order": "4155552671",
    }


def test_lists_of_names_and_values_are_understood() -> None:
    """Headers, environments and command lines are often lists."""
    assert redact({"h": [["cookie", "a=b"], ["accept", "*/*"]], "c": ["run", "--token", "x", "--user", "ada"]}) == {
        "h": [["cookie", REDACTED_BY_KEY], ["accept", "*/*"]],
        "c": ["run", "--token", REDACTED_BY_KEY, "--user", "ada"],
    }
    assert redact({"env": [{"name": "API_KEY", "value": "x"}, {"name": "LANG", "value": "C"}]}) == {
        "env": [{"name": "API_KEY", "value": REDACTED_BY_KEY}, {"name": "LANG", "value": "C"}]
    }


def test_the_schema_of_a_tool_stays_and_its_arguments_go() -> None:
    """What a password is like is no secret."""
    schema: dict[str, JSON] = {"properties": {"password": {"type": "string", "minLength": 8}}}
    assert redact(copy.deepcopy(schema)) == schema
    assert redact({"password": {"type": "string", "value": "hunter2"}}) == {"password": REDACTED_BY_KEY}


def test_no_secret_is_remembered() -> None:
    """Texts in which nothing was found are; what was replaced is not, nor a long text, and the number is bounded."""
    texts.innocent_texts.clear()
    redactor._innocent_keys.clear()
    redact({"note": "ada@example.com", "password": "hunter2-remembered", "plain note": "plain text", "long": "x" * 100})
    assert "plain text" in texts.innocent_texts
    remembered = " ".join(texts.innocent_texts | redactor._innocent_keys)
    assert not any(text in remembered for text in ("ada@", "hunter2-remembered", "x" * 100))
    for number in range(2 * texts._MOST):
        redact_text(f"note {number}")
    assert len(texts.innocent_texts) <= texts._MOST


def test_a_text_is_no_key_because_it_was_harmless() -> None:
    """The word password is no secret; what it names is."""
    assert redact({"field": "password"}) == {"field": "password"}
    assert redact({"password": "hunter2"}) == {"password": REDACTED_BY_KEY}


@pytest.mark.parametrize(
    "secret", ["4111 1111 1111 1111", "ada.lovelace@example.com", "+49 171 1234567", "DE89 3704 0044 0532 0130 00"]
)
@pytest.mark.parametrize("fill", ["word ", "xx,"])
def test_a_secret_that_is_cut_is_not_shown_in_half(secret: str, fill: str) -> None:
    """Where a huge text is shortened, before it is redacted, no part of a number or of an address is left."""
    for place in range(len(secret) + 1):
        before = (fill * KEPT_CHARACTERS)[: KEPT_CHARACTERS - place - 1] + " "
        text = redact(freeze_details({"text": before + secret + " end" * 100_000}))["text"]
        kept = str(text).partition("[truncated:")[0][len(before) :]
        assert not any(map(str.isdigit, kept.replace("[redacted:", "")))
        assert "@" not in kept
        assert "lovelace" not in kept


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
@settings(deadline=None)
def test_whatever_is_redacted_is_json_and_stays_the_same(value: object) -> None:
    """Any text, in any script, with any control character: no error, and nothing more to find the second time."""
    once = redact(freeze_details({"value of": value}))
    text = encode(once)
    assert encode(redact(once)) == text


@given(st.text(alphabet="pasword=:tken \"'\\{}[]()@.,-+0123456789\n<>&/", max_size=60))
@settings(deadline=None, max_examples=500)
def test_texts_of_what_redaction_looks_for_stay_the_same(text: str) -> None:
    """Quotes that never close, separators in rows, and brackets of all kinds."""
    once = redact_text(text)
    assert redact_text(once) == once


def test_a_pass_is_a_password_when_its_value_looks_like_one() -> None:
    """Tests pass, and rounds have names."""
    details: dict[str, JSON] = {"pass": "first", "note": "user:ada pass:hunter2xyz, pass: 12, pass=first"}
    assert redact(details) == {"pass": "first", "note": "user:ada pass:[redacted:key], pass: 12, pass=first"}
    assert redact({"pass": "hunter2xyz"}) == {"pass": REDACTED_BY_KEY}
    assert redact({"pass": REDACTED_BY_KEY}) == {"pass": REDACTED_BY_KEY}


def test_of_a_private_key_that_was_cut_nothing_is_left() -> None:
    """Without its last line, all behind the first is the key."""
    begin = "-----BEGIN " + "PRIVATE KEY-----"
    assert redact_text(f"key:\n{begin}\nMIIEvQIBADANBgkq\nhkiG9w0BAQEF") == "key:\n[redacted:private key]"


@pytest.mark.parametrize(
    "text",
    [
        "your password is: [redacted:key]",
        "${PASSWORD:-[redacted:key]}",
        "auth=HTTPBasicAuth('ada', '[redacted:key]')",
        'secretKey = []byte("[redacted:key]")',
        "GET /?api_key=[redacted:key] HTTP/1.1",
        "password=[redacted:key] ip=10.0.0.9",
    ],
)
def test_what_was_redacted_elsewhere_is_left_as_it_is(text: str) -> None:
    """An emitter elsewhere redacts before it sends; here it is redacted again."""
    assert redact_text(text) == text


def test_a_marker_hides_nothing_that_is_written_beside_it() -> None:
    """Anybody may write one."""
    assert redact_text("password=[redacted:key]s3cr3tPw99x") == "password=[redacted:key]"
    assert redact_text("password: [redacted:key] s3cr3tPw99x") == "password: [redacted:key] [redacted:key]"


@pytest.mark.parametrize("key", ["pass\x1b[0mword", "pass\u200bword", "p\u0430ssword"])
def test_a_disguised_key_is_seen_beside_another_find(key: str) -> None:
    """Torn by a colour, by an invisible sign, or with a letter that only looks like its own."""
    text = redact_text(f"mail ada@example.com, {key}=s3cr3tPw99x then")
    assert text == "mail [redacted:email], password=[redacted:key] then"
