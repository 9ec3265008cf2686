"""What two customers have in common, and how much that says. Pure.

Each reason has a weight: the chance, in per cent, that it means the same customer. Independent reasons add up as
chances do: the score is the chance that not all of them are accidents.

Names are compared by trigrams of their words, padded as `pg_trgm` pads them, but here: a database with the locale C
has no trigrams of Chinese. A short name says little, in whatever language (many are called 王伟), and two short names
that differ in a letter are two names; so likeness counts for long ones only, and a name's weight grows with its length.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID
from zlib import crc32

LISTED = 50
"""The score from which on two customers are listed."""
MOST_ALIKE = 30
"""What more customers than this have in common says nothing of any two of them."""


class Reason(StrEnum):
    """Why two customers may be the same."""

    SAME_PHONE = "same_phone"
    SIMILAR_PHONE = "similar_phone"
    SAME_EMAIL = "same_email"
    SIMILAR_EMAIL = "similar_email"
    SAME_IDENTITY = "same_identity"
    SAME_NAME = "same_name"
    SIMILAR_NAME = "similar_name"
    SAME_COMPANY = "same_company"
    SAME_REGION = "same_region"


CONTACT = frozenset(
    {Reason.SAME_PHONE, Reason.SIMILAR_PHONE, Reason.SAME_EMAIL, Reason.SIMILAR_EMAIL, Reason.SAME_IDENTITY}
)
"""What tells something of contact data: for who may read that of both."""

_PHONE_END = 9  # digits: a national number without its prefix
_SHORTEST_IDENTITY, _LONG_IDENTITY = 5, 12  # letters and digits
_ALIKE = 0.6  # share of trigrams in common
_LONG_NAME = 10  # size from which on likeness counts
_NAME_WEIGHTS = ((16, 75), (_LONG_NAME, 50), (6, 35), (0, 20))  # size of the shorter name, weight of the same name
_CHINESE = re.compile(r"[\u3400-\u9fff]{5}")  # in a row: more than anybody's name has
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+")
_LEGAL_FORM = re.compile(
    r"\b(ltd|limited|co|company|inc|incorporated|corp|corporation|llc|gmbh|ag|kg)\b|(股份|责任)?有限(责任)?公司"
)
_SEEDS = [(0x9E3779B97F4A7C15 * n) & (2**64 - 1) for n in range(1, 9)]
_PRIME = (1 << 61) - 1


@dataclass(frozen=True, slots=True)
class Traits:
    """What customers are compared by; phones and e-mail addresses also as identities, in their normal spelling."""

    kind: str
    name: str
    region: str | None = None
    company_id: UUID | None = None
    phones: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    identities: frozenset[str] = frozenset()


class Verdict(NamedTuple):
    """How likely two customers are the same: 0 to 100, in all and without contact data, and why."""

    score: int
    plain_score: int
    reasons: dict[Reason, int]


def compare(one: Traits, other: Traits) -> Verdict:
    """How likely they are the same customer. A person and a company never are."""
    reasons = dict(_reasons(one, other)) if one.kind == other.kind else {}
    return Verdict(score(reasons), score(plain(reasons)), reasons)


def score(reasons: Mapping[Reason, int]) -> int:
    """The chance that not all of these are accidents, 0 to 100."""
    accident = 1.0
    for weight in reasons.values():
        accident *= 1 - weight / 100
    return round(100 * (1 - accident))


def plain(reasons: Mapping[Reason, int]) -> dict[Reason, int]:
    """The reasons that tell nothing of contact data."""
    return {reason: weight for reason, weight in reasons.items() if reason not in CONTACT}


def _reasons(one: Traits, other: Traits) -> Iterator[tuple[Reason, int]]:
    if one.phones & other.phones:
        yield Reason.SAME_PHONE, 60
    elif _each(_phone_end, one.phones) & _each(_phone_end, other.phones):
        yield Reason.SIMILAR_PHONE, 40
    if one.emails & other.emails:
        yield Reason.SAME_EMAIL, 75
    elif _each(_mailbox, one.emails) & _each(_mailbox, other.emails):
        yield Reason.SIMILAR_EMAIL, 60
    same = _each(_identity, one.identities) & _each(_identity, other.identities) - {""}
    if same:
        yield Reason.SAME_IDENTITY, 75 if len(max(same, key=len)) >= _LONG_IDENTITY else 35
    yield from _by_name(one.name, other.name)
    if one.company_id is not None and one.company_id == other.company_id:
        yield Reason.SAME_COMPANY, 20
    if one.region is not None and one.region == other.region and "-" in one.region:
        yield Reason.SAME_REGION, 10


def _by_name(one: str, other: str) -> Iterator[tuple[Reason, int]]:
    shorter = min(_size(one), _size(other))
    weight = next(weight for size, weight in _NAME_WEIGHTS if shorter >= size)
    if words(one) == words(other):
        yield Reason.SAME_NAME, weight
    elif shorter >= _LONG_NAME and (likeness := similarity(one, other)) >= _ALIKE:
        yield Reason.SIMILAR_NAME, round(weight * likeness)


# ---- spellings -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=10_000)
def words(name: str) -> tuple[str, ...]:
    """The words of a name in one spelling and order, without its legal form unless there is nothing else."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    found = _WORD.findall(_LEGAL_FORM.sub(" ", plain)) or _WORD.findall(plain)
    return tuple(sorted(found))


@lru_cache(maxsize=10_000)
def trigrams(name: str) -> frozenset[str]:
    """Three letters in a row of each word, which begins after two blanks and ends before one."""
    padded = (f"  {word} " for word in words(name))
    return frozenset(word[n : n + 3] for word in padded for n in range(len(word) - 2))


def similarity(one: str, other: str) -> float:
    """The share of trigrams in common, 0 to 1; 0 for names with different numbers: "Shop 12" is not "Shop 13"."""
    if _numbers(one) != _numbers(other):
        return 0.0
    ours, theirs = trigrams(one), trigrams(other)
    together = len(ours | theirs)
    return len(ours & theirs) / together if together else 0.0


def _size(name: str) -> int:
    """How much a name says: its trigrams; those of a Chinese company twice, for a character says more than a letter."""
    return sum((len(word) + 1) * (2 if _CHINESE.search(word) else 1) for word in words(name))


def _numbers(name: str) -> list[str]:
    return sorted(number for word in words(name) for number in _NUMBER.findall(word))


def _each(spelling: Callable[[str], str], values: frozenset[str]) -> set[str]:
    return {spelling(value) for value in values}


def _phone_end(phone: str) -> str:
    return phone.lstrip("+")[-_PHONE_END:]


def _mailbox(email: str) -> str:
    """Without what many providers overlook: dots, a tag after a plus, the second name of one of them."""
    mailbox, _, domain = email.rpartition("@")
    mailbox = mailbox.partition("+")[0].replace(".", "")
    return f"{mailbox}@{'gmail.com' if domain == 'googlemail.com' else domain}"


def _identity(value: str) -> str:
    """Letters and digits; nothing where too few are left to mean anything."""
    found = "".join(_WORD.findall(unicodedata.normalize("NFKC", value).casefold())).replace("_", "")
    return found if len(found) >= _SHORTEST_IDENTITY else ""


# ---- keys ------------------------------------------------------------------------------------------------------------


def keys_of(traits: Traits) -> set[int]:
    """Whoever shall be compared has one of these in common; each of 64 bits.

    Long names have four keys of two least hashes each: of names with seven of ten trigrams in common, nineteen of
    twenty pairs have one of them in common; of those with two in ten, one of seven.
    """
    said = [("phone", _phone_end(phone)) for phone in traits.phones]
    said += [("email", _mailbox(email)) for email in traits.emails]
    said += [("identity", spelled) for value in traits.identities if (spelled := _identity(value))]
    if traits.company_id is not None:
        said.append(("name", f"{traits.company_id} {' '.join(words(traits.name))}"))
    if _size(traits.name) >= _LONG_NAME:
        least = _least_hashes(traits.name)
        said += [(f"like{n}", f"{least[n]} {least[n + 1]}") for n in range(0, len(least), 2)]
    return {_hash(f"{traits.kind} {what} {value}") for what, value in said}


def _least_hashes(name: str) -> list[int]:
    hashes = [crc32(trigram.encode()) for trigram in trigrams(name)]
    return [min((each ^ seed) * seed % _PRIME for each in hashes) for seed in _SEEDS]


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), signed=True)
