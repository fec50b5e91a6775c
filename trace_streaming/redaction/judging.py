"""What stands where something is assigned: how far it reaches, and whether it is a value at all, or code, or a word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from .secret_keys import is_secret_key, may_be_secret_key

MARKER: Final = re.compile(r"\[redacted:[a-z ]{2,30}\]")
QUOTE: Final = re.compile(r"""[$@]{0,2}[bBrRfFuULN]{0,2}(\\*["'`])""")

_PLACEHOLDER: Final = re.compile(
    r"(?:(?:bearer|basic|token)\s+)?"
    r"(?:\$\{\{?[\w .]*(?::?(?:\?[^{}]*|[-=+]))?\}?\}|\$[A-Z_][A-Z_0-9]*|\$\d|\$@|\$\([^()]*\)|\{+[^{}]*\}+|<[^<>]*>"
    r"|&lt;[\w -]*&gt;|\[[A-Z_ -]+\]"
    r"|%(?:\(\w*\))?s|%[A-Z_]+%|:[a-z_]+|[*\u2022\u25cf]+|~|[/(]{0,2}(?:\.|\\{1,4}[wSsd]|\[[^\]\s]{1,40}\])[*+?]\S*"
    r"|(?:[a-z]{2,8}[-_]){0,3}(?:x{3,}|[*]{3,})|\.{3}|\u2026|-|\?|\S*(?:\.{3}|\u2026)"
    r"|null|none|nil|true|false|undefined|required|optional|\[?redacted\]?|\[?hidden\]?|\[?masked\]?|\[?filtered\]?"
    r"|missing|empty|(?:not )?set|unset|not (?:given|provided|found|configured|available|required)|provided"
    r"|enabled|disabled|accepted|rejected|valid|invalid|expired|incorrect|wrong|unknown|unchanged|yes|no|on|off|n/a|todo"
    r"|same-origin|include|omit|default|prompt|stdin|inherit"
    r"|(?:fileb?|op|vault|ssm|sm|awssm|gcpsm|akv|keyring|secretsmanager|ref\+\w{2,20})://[\w .~/#:\-]+"
    r"|(?:env:|os\.environ/)[A-Z][A-Z0-9_]*"
    r"|(?:your|the|some|insert|enter|replace|add|put|paste)(?:[-_ ][\w]+){1,6}|change[-_ ]?me(?:[-_ ]please)?"
    r"|!vault.*)?",
    re.IGNORECASE,
)
_METAVARIABLES: Final = frozenset("KEY TEXT STRING VALUE PASS PWD USER USERNAME NAME FILE PATH ID URL ARG WORD".split())
_METAVARIABLE: Final = re.compile(r"[A-Z]+(?:[_-][A-Z]+)*")
_CALL: Final = re.compile(
    r"[A-Za-z_]\w*(?:(?:\.|::|->)[A-Za-z_]\w*)*"
    r"(?:[(\[](?:[^\n]{0,200}[)\]](?=[\s,;.)\]}\"'`|?:+&]|$)|\s*$|\s*\n)|\(\\*[\"'][^\n]{0,200}|\($)|\$\w+(?:\[|->|::)"
)
_CHAIN: Final = re.compile(
    r"(?:self|cls|this|os|settings|config|conf|request|req|response|resp|res|args|options|opts|env|process|user|data|ctx"
    r"|secrets|vault|var|local|module|params|props|state|body|form|credentials|creds|session|app|client|import\.meta|ENV)"
    r"(?:\??\.[A-Za-z_]\w*|\[\\*[\"'][\w.\-]*\\*[\"']\])+"
)
_IDENTIFIER: Final = re.compile(r"(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*)")
_ATTRIBUTE: Final = re.compile(r"[a-z_]\w*(?:\.[a-z_]\w*)+")
_WORDS_AS_ONE: Final = re.compile(r"[a-z]+(?:_[a-z]+)+|[a-z]+(?:[A-Z][a-z]+)+")
_TYPE: Final = re.compile(
    r"&?\[\w*|(?:&(?:'\w+ )?)?(?:str|string|int|integer|bytes|bool|boolean|any|object|number|dict|list|tuple|char|float"
    r"|text|varchar"
    r"|await|new|lambda|not|if|else|in|is|and|or|for|return|type|Token|[A-Za-z]*(?:Str|String|Type|Optional|Field))[?!]?",
)
_STRONG: Final = re.compile(r"\S{24,}|(?=\S*[0-9])(?=\S*[A-Za-z])\S{6,}|\S*[!@#$%^&*]\S*[A-Za-z0-9]\S*")
_ALGORITHM: Final = re.compile(
    r"(?i:base64|sha(?![a-z])|md5|utf|oauth|bcrypt|argon2|pbkdf2|hs256|rs256|aes-?\d*|ed25519|v\d+(?:\.\d+)*$"
    r"|\d+[- ]?[a-z]{0,4}$|\d+\.)"
)
_OPTION_OF_NAMES: Final = re.compile(r"--(?:(?:set|update|remove)-)?secrets?")
_FIELDS: Final = re.compile(r"[\w.\-]+=[\w.~/]")
"""As ``id=aws,src=.aws/credentials``."""
_SHORTEST_TOKEN: Final = 12
_NAME: Final = re.compile(r"[A-Za-z]?[a-z]+(?:[_.-][a-z]+)*|[A-Z]+(?:_[A-Z]+)*")
_BRACKETS: Final = re.compile(r"""[\[\]{}]|\\*["']""")
_WORD_AND_NUMBER: Final = re.compile(r"[A-Za-z]{2,}[-_. ]?v?\d{1,4}[a-z]?|v?\d+(?:\.\d+)+\w*|\d+[A-Za-z]{1,4}")
_CHOSEN: Final = re.compile(r"[^\W\d_]{2,}[-_.#!+ ]?\d{1,4}[^\W\d_]?")
_SLUG: Final = re.compile(
    r"[A-Z]{2,8}(?:[-_][A-Z0-9]{1,6})+|[a-z]+(?:[-_.:/ ](?:[a-z]+|\d{1,4}|v\d+))+|[A-Za-z]+(?:_[A-Za-z]+)+", re.ASCII
)
_RANDOM: Final = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[\w+/=.~!@#$%^&*:()\-]{6,}", re.ASCII)
_MIXED: Final = re.compile(r"(?=(?:[^A-Z]*[A-Z]){3})(?=(?:[^a-z]*[a-z]){3})[A-Za-z+/=]+")
_CAMEL: Final = re.compile(r"(?:[A-Z]?[a-z]{2,}|[A-Z]{2,6}(?![a-z])|[A-Z](?=[A-Z][a-z]))+s?")
_CALLED: Final = re.compile(r"[\w.]*\(.*\)")
_PATH: Final = re.compile(
    r"(?:[~.]{0,2}/(?!(?=\S*[A-Z])(?=\S*[0-9])[A-Za-z0-9+/]{19,}={0,2}$)|[A-Za-z]:\\|https?:|\w+://|arn:|\.\w)"
)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].*)?|\d\d?:\d\d.*")
_WORD_OF_SENTENCE: Final = re.compile(r"[(\"']?[\w'\u2019\-/]+[)\"']?[,;:.!?]?")
_LONG_WORD: Final = 16
_FEWEST_WORDS: Final = 2
_MOST_WORDS: Final = 64
_LABEL: Final = re.compile(r"[^\W\d_]{3,32}(?:[ \-][^\W\d_]{1,32}){0,5}[:?*]?")
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


def is_placeholder(value: str) -> bool:
    """Whether this only stands where a secret would: ``${TOKEN}``, ``<password>``, ``****``, ``null``, or nothing."""
    if _PLACEHOLDER.fullmatch(value) is not None:
        return True
    # As manuals name an option's value: ``--token TOKEN``.
    return (
        value.isupper()
        and _METAVARIABLE.fullmatch(value) is not None
        and (value in _METAVARIABLES or is_secret_key(value))
    )


def is_code(key: str, value: re.Match[str], *, is_tight: bool, is_spaced: bool) -> bool:
    """Whether a value without quotes is an expression or a type, and no secret: ``get_password()``, ``str``.

    :param is_tight: as in ``KEY=value``
    :param is_spaced: whether there is a blank before it
    """
    found = value[0].rstrip(",.)]}:;")
    if _CALL.match(value.string, value.start()) or _CHAIN.match(value.string, value.start()):
        return True
    if not is_tight and _TYPE.fullmatch(found):
        return True
    identifier = _IDENTIFIER.fullmatch(found.partition(",")[0] if is_tight else found)  # as of code without blanks
    return identifier is not None and _is_variable(key, found, identifier[1], is_spaced=is_spaced)


def _is_variable(key: str, found: str, name: str, *, is_spaced: bool) -> bool:
    """Whether an identifier is a variable's: that of the key, of a secret, or of several words."""
    last = name.strip("_").lower()
    if last == key.strip("-_").rpartition(".")[2].strip("_").lower().replace("-", "_"):
        return True
    if is_spaced and (_WORDS_AS_ONE.fullmatch(name) or is_attribute(found)):
        return True
    return "_" in last and not any(map(str.isdigit, last)) and is_secret_key(last)


def is_attribute(value: str) -> bool:
    """Whether a value is an attribute of something in code: ``aws_db_instance.main.password``."""
    return _ATTRIBUTE.fullmatch(value) is not None


def looks_secret(value: str) -> bool:
    """Whether a word in a sentence is a password rather than a word."""
    return _STRONG.fullmatch(value) is not None


def looks_random(value: str) -> bool:
    """Whether a value is one that nobody would read out: not a word, a name with a number, a path, a time, a UUID."""
    if _RANDOM.fullmatch(value) is None:
        return len(value) >= 12 and _MIXED.fullmatch(value) is not None and _CAMEL.fullmatch(value) is None
    shapes = (_WORD_AND_NUMBER, _SLUG, _TIME, _UUID, _CALLED)
    return _PATH.match(value) is None and not any(shape.fullmatch(value) for shape in shapes)


def looks_chosen(value: str) -> bool:
    """Whether a value may be a password that a person has chosen: no word, and nothing that is code."""
    return looks_random(value) or (len(value) >= 6 and _CHOSEN.fullmatch(value) is not None)


def is_prose(value: str) -> bool:
    """Whether a value is a sentence, as of an error, or a label, as of a form."""
    if _LABEL.fullmatch(value) is not None:
        return is_secret_key(value)
    words = value.split(" ", _MOST_WORDS) if value[-1:] in {".", "!", "?"} and value[:1].isupper() else ()
    if len(words) < _FEWEST_WORDS or not all(map(_WORD_OF_SENTENCE.fullmatch, words)):
        return False
    return 4 * sum(looks_random(word.rstrip(".,;:!?")) for word in words) < len(words)


def is_uuid(value: str) -> bool:
    """Whether it is one; many keys are."""
    return _UUID.fullmatch(value) is not None


def is_piece_of_text(key: str, value: str) -> bool:
    """Whether a ``token`` is that of a language model, a word or a piece of one, or of a game: no token is a word."""
    name = key.lower()
    if not name.endswith(("token", "tokens")):
        return False
    if " " in value.strip() and not any(map(str.isdigit, value)):
        return value.partition(" ")[0].lower() not in {"bearer", "basic", "token"}
    is_word = value.isalpha() and len(value) < _LONG_WORD and (value[1:].islower() or value.isupper())
    return is_word or (name in {"token", "tokens"} and not looks_chosen(value) and (len(value) < 24 or " " in value))


def is_piece_in_table(key: str, value: str) -> bool:
    """Whether a cell below ``token`` is such a piece: those of a door are long, and look random."""
    is_long = len(value) >= _SHORTEST_TOKEN and looks_random(value)
    return is_piece_of_text(key, value) or (key.lower() in {"token", "tokens"} and not is_long)


def is_reference(option: str, value: str) -> bool:
    """Whether an option takes a secret's name, or where it is kept: ``--secret id=aws,src=.aws/credentials``."""
    is_of_names = _OPTION_OF_NAMES.fullmatch(option) is not None
    return is_of_names and (_FIELDS.match(value) is not None or not looks_chosen(value))


def are_names(key: str, values: Sequence[object]) -> bool:
    """Whether a list has the names of secrets, or of cookies, and none of their values: ``["DB_PASSWORD"]``."""
    name = key.lower()
    if name.endswith("secrets") and all(isinstance(value, dict) and [*value] == ["name"] for value in values):
        values = [value["name"] for value in values if isinstance(value, dict)]
        return not any(isinstance(value, str) and looks_random(value) for value in values)
    is_of_cookies = name.endswith("cookies")
    return all(
        isinstance(value, str)
        and _NAME.fullmatch(value) is not None
        and (is_of_cookies or is_secret_key(value) or may_be_secret_key(value))
        for value in values
    )


def fits_weak_key(key: str, value: str) -> bool:
    """Whether a value is a secret behind a key that may as well name something else."""
    if key.strip("-_").lower().endswith(("pass", "pw", "mdp", "clave")):
        return looks_chosen(value) or looks_secret(value)
    return looks_random(value)


def is_algorithm(value: str) -> bool:
    """Whether a word of letters and digits says how a secret is kept: ``base64-encoded``."""
    return _ALGORITHM.match(value) is not None


def quote_end(text: str, at: int, quote: str) -> int:
    """Where a quoted text ends; at the text's end where it is cut.

    JSON in JSON doubles the backslashes before a quote and adds one: the number in front of the opening quote tells the
    level, and how many there are before a quote that does not close it.
    """
    unit = len(quote)
    while (found := text.find(quote[-1], at)) >= 0:
        slashes = found
        while slashes > at and text[slashes - 1] == "\\":
            slashes -= 1
        more = found - slashes - (unit - 1)
        if more < 0 or more // unit % 2 == 0:
            return max(found - (unit - 1), slashes)
        at = found + 1
    return len(text)


def balanced_end(text: str, at: int) -> int:
    """Behind the bracket that closes the one here; the text's end where it is cut."""
    depth = 0
    while bracket := _BRACKETS.search(text, at):
        at = bracket.end()
        if bracket[0] in {"{", "["}:
            depth += 1
        elif bracket[0] in {"}", "]"}:
            depth -= 1
            if not depth:
                return at
        else:
            at = min(quote_end(text, at, bracket[0]) + len(bracket[0]), len(text))
    return len(text)
