"""Numbers that belong to a person: payment cards, bank accounts, US social security numbers, telephones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from trace_streaming.redaction.effort import NUMBERS, Effort
from trace_streaming.redaction.spans import Span

_BLANKS: Final = r" \xa0\u2007\u2009\u202f"
_DASHES: Final = r"\-\u2010\u2011\u2013"
"""As people and their word processors write them."""
_BETWEEN: Final = f"{_BLANKS}{_DASHES}."
_RUN: Final = re.compile(rf"\d[\d{_BETWEEN}()/]{{7}}[\d{_BETWEEN}()/]+", re.ASCII)
_PLAIN_RUN: Final = re.compile(r"\d[\d .\-()/]{7}[\d .\-()/]+", re.ASCII)
"""Digits close together, and what may stand between them: all that every number sought has in it."""
_MIN_DIGITS: Final = 9
_DATE: Final = re.compile(r"[ (\-]?(?:19|20)\d\d([\-./])\d\d\1\d\d(?: [012]\d)?[ )\-./]{0,2}", re.ASCII)
"""What most runs of so many digits are: the lines of a log begin with one."""
_GROUP: Final = re.compile(r"\d+", re.ASCII)
_NOT_DIGITS: Final = re.compile(r"\D+", re.ASCII)

_NUMBERS: Final = re.compile(
    rf"(?:(?P<ssn>\d{{3}}(?P<s>[ {_DASHES}])\d{{2}}(?P=s)\d{{4}})"
    rf"|(?P<card>[2-6]\d{{12,18}}|[2-6]\d{{3}}(?P<c>[{_BETWEEN}]| {{2}})\d{{4}}(?P=c)\d{{4}}(?P=c)\d{{4}}"
    r"(?:(?P=c)\d{3}(?!\d))?"
    rf"|3\d{{3}}(?P<a>[{_BETWEEN}])\d{{6}}(?P=a)\d{{4,5}})"
    rf"|(?P<american>(?:\+?1[{_BETWEEN}]?)?(?:\([2-9]\d\d\)[ {_DASHES}]?|[2-9]\d\d[{_BETWEEN}])"
    rf"[2-9]\d\d[{_BETWEEN}]\d{{4}}|\+1[2-9]\d\d[2-9]\d{{6}})"
    rf"|(?P<international>\+[2-9](?:[{_BETWEEN}/()]{{0,3}}\d){{7,14}})"
    r"|(?P<french>0[1-9](?P<f>[ .\-\xa0])\d\d(?P=f)\d\d(?P=f)\d\d(?P=f)\d\d(?!(?P=f)\d))"
    r"|(?P<spanish>(?<!\d[ \xa0])[6-9]\d\d(?P<e>[ \xa0])\d\d(?P=e)\d\d(?P=e)\d\d(?!(?P=e)\d))"
    r"|(?P<brazilian>\([1-9]\d\)[ ]?(?!(?:19|20)\d\d-(?:19|20))(?:9\d|[2-9])\d{3}-\d{4}|[1-9]\d 9\d{4}-\d{4})"
    r"|(?P<indian>0[6-9]\d{4}[ \-]\d{5})"
    # Italy, Japan, Australia; the Netherlands.
    r"|(?P<short>(?:\(0[1-9]\)|0[1-9])[ \-](?!(?:19|20)\d\d)\d{4}[ \-]\d{4}|06[ \-](?!20[0-4]\d[01])\d{8})"
    r"|(?P<national>(?!\d{5}-\d{4}(?!\d))\(?0[1-9]\d{1,3}\)?[ \-/]\d{2,8}(?:[ \-]\d{2,8}){0,3}(?:-\d{1,4})?)"
    r")(?!\d)",
    re.ASCII,
)
_KINDS: Final = (
    *("ssn", "card", "american", "international", "french", "spanish", "brazilian", "indian", "short", "national"),
)
_ANY: Final = re.compile(rf"\(?\d{{2,13}}\)?(?:[{_BETWEEN}/]{{1,3}}\d{{2,10}}){{0,5}}(?!\d)", re.ASCII)
_PHONE_WORDS: Final = (
    "phone",
    "fon",
    "tel",
    "t\xe9l",
    "mobil",
    "vil",
    "cell",
    "handy",
    "fax",
    "whatsapp",
    "tlf",
    "тел",
    "電話",
    "电话",
    "手机",
    "전화",
)
_PHONE_WORD: Final = re.compile(
    r"\b(?:tele)?(?:phone|fon|t[e\xe9]l|mobile|mobil|m[o\xf3]vil|cell|handy|fax|whatsapp|tlf|тел(?:ефон)?"
    r"|電話|电话|手机|전화)(?:[ _]?(?:number|no|nr|num))?"
    r"[\\\"']{0,3}[:=.\uff1a ]{1,4}[\\\"']{0,3}[+(]?\Z",
    re.IGNORECASE,
)
"""What makes a telephone of digits that could be anything."""
_IBAN: Final = re.compile(
    rf"\d\d(?:(?<=[A-Z][A-Z]\d\d)(?:[{_BLANKS}\-]?[A-Z0-9]){{11,30}}"
    rf"|(?<=[a-z][a-z]\d\d)(?:[{_BLANKS}\-]?\d){{11,30}})",
    re.ASCII,
)
"""From its check digits on: few places of a text are digits, and many are capitals."""
_IBAN_LENGTHS: Final = {
    country: int(length)
    for length, countries in (
        ("15", "NO"),
        ("16", "BE"),
        ("18", "DK FI FK FO GL NL SD"),
        ("19", "MK SI"),
        ("20", "AT BA EE KZ LT LU MN XK"),
        ("21", "CH HR LI LV"),
        ("22", "BG BH CR DE GB GE IE ME RS VA"),
        ("23", "AE GI IL IQ OM SO TL"),
        ("24", "AD CZ ES MD PK RO SA SE SK TN VG"),
        ("25", "LY PT ST"),
        ("26", "IS TR"),
        ("27", "BI DJ FR GR IT MC MR SM"),
        ("28", "AL AZ BY CY DO GT HU LB NI PL SV"),
        ("29", "BR EG PS QA UA"),
        ("30", "JO KW MU YE"),
        ("31", "MT SC"),
        ("33", "LC RU"),
    )
    for country in countries.split()
}
"""By SWIFT's IBAN registry."""
_CARD_ISSUERS: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12,15}"  # Discover
    r"|3(?:0[0-5]|[689]\d)\d{11}|3(?:0[0-5]|[689]\d)\d{13}"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12,15}"  # JCB
    r"|62\d{14,17}"  # UnionPay
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{9,15}"  # Maestro
    r"|220[0-4]\d{12,15}",  # Mir
    re.ASCII,
)
_SSN_WORDS: Final = re.compile(r"ssn|social\W?security", re.IGNORECASE)
_HEXADECIMAL: Final = re.compile(r"[0-9a-fA-F]{2}[ .\-]")
_COUNTRY_CODES: Final = re.compile(
    r"7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|2[1-69]\d|3[578]\d|42\d|5[09]\d|6[789]\d|8[0578]\d|9[679]\d"
)


def find_numbers(text: str, effort: Effort) -> Iterator[Span]:
    """The numbers of persons; other numbers, times, versions and identifiers stay."""
    done = 0
    runs = _PLAIN_RUN if text.isascii() else _RUN
    run = runs.search(text)
    while run:
        at = run.end()
        if sum(map(str.isdigit, run[0])) >= _MIN_DIGITS and not _DATE.fullmatch(run[0]):
            if not effort.spend(NUMBERS, 2):
                yield Span(run.start(), run.start(), "")
                return
            account, is_alike = _account(text, run.start(), done)
            for span in account or (() if is_alike else _in_run(text, run.start(), at, effort)):
                yield span
                if not span.rule:
                    return
                done = span.end
        run = runs.search(text, max(at, done))


def is_card_number(digits: str) -> bool:
    """Whether digits are a payment card's: an issuer's prefix and length (ISO/IEC 7812), and Luhn's checksum."""
    return _CARD_ISSUERS.fullmatch(digits) is not None and _has_luhn_checksum(digits)


def _in_run(text: str, at: int, end: int, effort: Effort) -> Iterator[Span]:
    """One without a rule where it is not looked any further."""
    while group := _GROUP.search(text, at, end):
        at = group.end()
        start = group.start()
        if not effort.spend(NUMBERS, 8):
            yield Span(start, start, "")
            return
        while start and group.start() - start < 3 and text[start - 1] in "+(":
            start -= 1
        numbers = (_NUMBERS.match(text, place) for place in range(start, group.start() + 1))
        number = next(filter(None, numbers), None) or _named(text, start)
        if number and not _touches_word(text, number.start(), number.end()) and (judged := _judged(text, number)):
            yield judged
            at = judged.end


def _named(text: str, start: int) -> re.Match[str] | None:
    """Digits behind ``phone:``, however they are written."""
    before = text[max(0, start - 24) : start].lower()
    return (
        _ANY.match(text, start) if any(map(before.__contains__, _PHONE_WORDS)) and _PHONE_WORD.search(before) else None
    )


def _touches_word(text: str, start: int, end: int) -> bool:
    """Whether this is a piece of something longer: of an identifier, a fraction, a date, a version."""
    if _follows_word(text, start):
        return True
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if len(before) == 2 and (before[0].isalnum() if before[1] in ".-/" else before[0].isdigit() and before[1] == ":"):
        return True
    return after[:1].isalnum() or (
        after[:1] in {".", "-", "/"} and (after[1:].isdigit() or (after[:1] == "-" and after[1:].isalpha()))
    )


def _follows_word(text: str, start: int) -> bool:
    """Whether a letter or digit stands before this, and not that of an escaped line break."""
    before = text[max(0, start - 2) : start]
    return before[-1:].isalnum() and not (len(before) == 2 and before[0] == "\\" and before[1] in "nrt")


def _judged(text: str, number: re.Match[str]) -> Span | None:
    """The span and the rule of a number that has a shape sought, when it has what else makes it one."""
    digits = _NOT_DIGITS.sub("", number[0])
    if number.re is _ANY:
        return Span(*number.span(), "phone") if _MIN_DIGITS <= len(digits) <= 13 else None
    kind = next(kind for kind in _KINDS if number[kind])
    if kind == "card":
        # Behind a number in groups its check value may follow.
        is_card = is_card_number(digits) or (number["c"] and len(digits) == 19 and is_card_number(digits[:16]))
        return Span(*number.span(), "card") if is_card else None
    if kind == "ssn":
        return Span(*number.span(), "ssn") if _is_ssn(text, number[0], number.start()) else None
    is_phone = {
        "international": 8 <= len(digits) <= 15 and _COUNTRY_CODES.match(digits) is not None,
        "national": _MIN_DIGITS <= len(digits) <= 12,
        "french": not _HEXADECIMAL.fullmatch(text[max(0, number.start() - 3) : number.start()]),
    }.get(kind, True)
    return Span(*number.span(), "phone") if is_phone else None


def _is_ssn(text: str, number: str, start: int) -> bool:
    """By the ranges that the Social Security Administration has ever assigned."""
    if number.startswith(("000", "666", "9")) or number[4:6] == "00" or number.endswith("0000"):
        return False
    return number[3] != " " or _SSN_WORDS.search(text, max(0, start - 40), start) is not None


def _account(text: str, run: int, done: int) -> tuple[list[Span], bool]:
    """The bank account that a run of digits belongs to, by its country's length and checksum (ISO 13616).

    Also whether it only looks like one: then it is no telephone, either.
    """
    match = _IBAN.search(text, max(done + 2, run - 12), run + 40)
    if match is None or match.start() > run:
        return [], False
    start = end = match.start() - 2
    wanted = _IBAN_LENGTHS.get(text[start : start + 2].upper(), 0)
    account = ""
    while len(account) < wanted and end < match.end():
        account += text[end] if text[end].isalnum() else ""
        end += 1
    if not wanted or len(account) != wanted or text[end : end + 1].isalnum() or _follows_word(text, start):
        return [], False
    return ([Span(start, end, "iban")] if _has_account_checksum(account) else []), True


def _has_account_checksum(account: str) -> bool:
    return int("".join(str(int(letter, 36)) for letter in account[4:] + account[:4])) % 97 == 1


def _has_luhn_checksum(digits: str) -> bool:
    doubled = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
    odd = sum(map(int, digits[-1::-2]))
    return (odd + sum(doubled[int(digit)] for digit in digits[-2::-2])) % 10 == 0
