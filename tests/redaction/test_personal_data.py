"""Addresses and telephones as people, mail programs and web pages write them."""

from __future__ import annotations

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from trace_streaming.redaction import redact_text

KINDS = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE)
NATIONAL = [(country, kind) for country in "AU BR CA CH DE ES FR GB IN IT JP NL US".split() for kind in KINDS]


def example(country: str, kind: int) -> phonenumbers.PhoneNumber | None:
    """Google's example of a country's telephones."""
    return phonenumbers.example_number_for_type(country, kind)


@pytest.mark.parametrize(("country", "kind"), NATIONAL)
def test_a_telephone_goes_as_its_country_writes_it(country: str, kind: int) -> None:
    """By the examples of the library that knows them all. Invariant 4."""
    number = example(country, kind)
    assert number is not None
    text = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
    assert redact_text(f"call {text} today") == "call [redacted:phone] today"


@pytest.mark.parametrize("country", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_a_telephone_goes_in_international_form(country: str) -> None:
    """Of every country whose numbers have nine digits with its code: a few islands have less. Invariant 4."""
    for number in filter(None, (example(country, kind) for kind in KINDS)):
        for form in (PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.E164):
            text = phonenumbers.format_number(number, form)
            if sum(map(str.isdigit, text)) >= 9:
                assert redact_text(f"call {text} today") == "call [redacted:phone] today"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Phone: 4155550132", "Phone: [redacted:phone]"),
        ("Phone number: 98765 43210", "Phone number: [redacted:phone]"),
        ("tel. 612 345 678", "tel. [redacted:phone]"),
        ('mobile="6123456789"', 'mobile="[redacted:phone]"'),
        (r"{\"phone\": \"4155550132\"}", r"{\"phone\": \"[redacted:phone]\"}"),
        ("fax 01 234567890", "fax [redacted:phone]"),
        ("T\u00e9l. : 0612345678", "T\u00e9l. : [redacted:phone]"),
        ("\u0442\u0435\u043b. 89123456789", "\u0442\u0435\u043b. [redacted:phone]"),
        ("\u7535\u8bdd\uff1a13800138000", "\u7535\u8bdd\uff1a[redacted:phone]"),
    ],
)
def test_digits_are_a_telephone_where_a_word_says_so(text: str, redacted: str) -> None:
    """However they are written. Invariant 4."""
    assert redact_text(text) == redacted


@pytest.mark.parametrize(
    ("before", "address", "behind"),
    [
        ('"Ada" <', "ada@example.com", ">"),
        (r"\"Ada\" <", "ada@example.com", ">"),
        (r"\u003c", "ada@example.com", r"\u003e"),
        ("&lt;", "ada@example.com", "&gt;"),
        ('Ada <"', 'ada lovelace"@example.com', ">"),
        ("to=%22Ada%22%20%3C", "ada%40example.com", "%3E"),
        ("to=", "ada%2Btag%40example.com", "&x=1"),
        ("mailto:", "ada@example.com", "?subject=x"),
        ("\x1b[32m", "ada@example.com", "\x1b[0m"),
        ("'", "ada@example.com", "'"),
        ("", "_ada@example.com", "_"),
        (r"To: Bob\n", "ada@example.com", r"\nnext"),
        ("", "ada&#64;example.com", ""),
        ("", "ada\uff20example.com", ""),
        ("write to ", "ada [at] example [dot] com", "."),
        ("write to ", "ada(at)example.com", " today"),
        ("saved as ", "ada@example.com.json", ""),
    ],
)
def test_an_address_goes_and_what_stands_around_it_stays(before: str, address: str, behind: str) -> None:
    """In angle brackets, quotes, escapes, queries, entities, and spelt. Invariant 4."""
    assert redact_text(f"{before}{address}{behind}") == f"{before}[redacted:email]{behind}"


@pytest.mark.parametrize(
    "text",
    [
        "look(at)this",
        "np.linalg.inv(a)@b.transpose()",
        "cat [at] noon",
        "lodash@4.17.21",
        "git@github.com:ada/engine",
        "icon@2x.png",
        "chunk@1.2.3.js",
    ],
)
def test_what_only_has_the_sign_of_an_address_stays(text: str) -> None:
    """Code, versions, repositories, prose."""
    assert redact_text(text) == text
