"""What two customers have in common, and how much that says. Pure.

Each reason has a weight: the chance, in per cent, that it means the same customer. Independent reasons add up as
chances do: the score is the chance that not all of them are accidents. What speaks against it takes its share of that.

Names are compared by trigrams of their words, padded as `pg_trgm` pads them, but here: a database with the locale C
has no trigrams of Chinese. A short name says little, in whatever language (many are called 王伟), and two short names
that differ in a letter are two names; so likeness counts for long ones only, and a name's weight grows with its length.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple
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
    SAME_ADDRESS = "same_address"
    SAME_BIRTHDAY = "same_birthday"
    DIFFERENT_BIRTHDAY = "different_birthday"


CONTACT = frozenset(
    {
        Reason.SAME_PHONE,
        Reason.SIMILAR_PHONE,
        Reason.SAME_EMAIL,
        Reason.SIMILAR_EMAIL,
        Reason.SAME_IDENTITY,
        Reason.SAME_BIRTHDAY,
        Reason.DIFFERENT_BIRTHDAY,
    }
)
"""What tells something of contact data, which is masked with a birthday: for who may read that of both."""
ADDRESSES = frozenset({Reason.SAME_ADDRESS})
"""What tells something of addresses: for who may read those of both, and contact data as well."""

_PHONE_END = 9  # digits: a national number without its prefix
_SHORTEST_IDENTITY, _LONG_IDENTITY = 5, 12  # letters and digits
_ALIKE = 0.6  # share of trigrams in common
_LONG_NAME = 10  # size from which on likeness counts
_NAME_WEIGHTS = ((16, 75), (_LONG_NAME, 50), (6, 35), (0, 20))  # size of the shorter name, weight of the same name
_CHINESE = re.compile(r"[\u3400-\u9fff]{5}")  # in a row: more than anybody's name has
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+")
_MOST_INITIALS = 3
_SHORT_FORMS = {"street": "st", "road": "rd", "avenue": "ave", "boulevard": "blvd", "lane": "ln", "strasse": "str"}
_LEGAL_FORM = re.compile(
    r"\b(ltd|limited|co|company|inc|incorporated|corp|corporation|llc|gmbh|ag|kg)\b|(股份|责任)?有限(责任)?公司"
)
_SEEDS = [(0x9E3779B97F4A7C15 * n) & (2**64 - 1) for n in range(1, 9)]
_PRIME = (1 << 61) - 1


class Address(NamedTuple):
    """Where a customer is to be found, as it was written."""

    country: str
    postal_code: str | None
    city: str | None
    lines: str


@dataclass(frozen=True)
class Traits:
    """What customers are compared by; phones and e-mail addresses also as identities, in their normal spelling.

    Whoever is compared is so with many: each spelling is worked out once.
    """

    kind: str
    name: str
    region: str | None = None
    company_id: UUID | None = None
    birthday: date | None = None
    phones: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    identities: frozenset[str] = frozenset()
    addresses: frozenset[Address] = frozenset()

    @cached_property
    def phone_ends(self) -> frozenset[str]:
        return _each(_phone_end, self.phones)

    @cached_property
    def mailboxes(self) -> frozenset[str]:
        return _each(_mailbox, self.emails)

    @cached_property
    def spelled_identities(self) -> frozenset[str]:
        return _each(_identity, self.identities) - {""}

    @cached_property
    def places(self) -> frozenset[str]:
        return _each(_place, self.addresses) - {""}

    @cached_property
    def words(self) -> tuple[str, ...]:
        return words(self.name)

    @cached_property
    def size(self) -> int:
        return _size(self.name)

    @cached_property
    def born(self) -> date | None:
        """A person's birthday. Many who know the year alone write the first of January: that one says nothing."""
        day = self.birthday
        return None if day is None or self.kind != "person" or (day.month, day.day) == (1, 1) else day


class Verdict(NamedTuple):
    """How likely two customers are the same: 0 to 100, in all, without addresses and without contact data; and why."""

    score: int
    contact_score: int
    plain_score: int
    reasons: dict[Reason, int]

    @property
    def listed(self) -> bool:
        """Whether it is for anybody: what speaks against it is not known to whoever may not read contact data."""
        return max(self.score, self.contact_score, self.plain_score) >= LISTED


def compare(one: Traits, other: Traits) -> Verdict:
    """How likely they are the same customer. A person and a company never are."""
    reasons = dict(_reasons(one, other)) if one.kind == other.kind else {}
    return Verdict(score(reasons), score(without_addresses(reasons)), score(plain(reasons)), reasons)


def score(reasons: Mapping[Reason, int]) -> int:
    """The chance that not all of these are accidents, 0 to 100; less the share that each negative weight takes."""
    accident = held = 1.0
    for weight in reasons.values():
        if weight < 0:
            held *= 1 + weight / 100
        else:
            accident *= 1 - weight / 100
    return round(100 * (1 - accident) * held)


def without_addresses(reasons: Mapping[Reason, int]) -> dict[Reason, int]:
    """The reasons that tell nothing of addresses."""
    return {reason: weight for reason, weight in reasons.items() if reason not in ADDRESSES}


def plain(reasons: Mapping[Reason, int]) -> dict[Reason, int]:
    """The reasons that tell nothing of contact data, nor of addresses."""
    return {reason: weight for reason, weight in without_addresses(reasons).items() if reason not in CONTACT}


def _reasons(one: Traits, other: Traits) -> Iterator[tuple[Reason, int]]:
    if one.phones & other.phones:
        yield Reason.SAME_PHONE, 60
    elif one.phone_ends & other.phone_ends:
        yield Reason.SIMILAR_PHONE, 40
    if one.emails & other.emails:
        yield Reason.SAME_EMAIL, 75
    elif one.mailboxes & other.mailboxes:
        yield Reason.SIMILAR_EMAIL, 60
    if same := one.spelled_identities & other.spelled_identities:
        yield Reason.SAME_IDENTITY, 75 if len(max(same, key=len)) >= _LONG_IDENTITY else 35
    yield from _by_name(one, other)
    yield from _by_birthday(one.born, other.born)
    if one.places & other.places:
        yield Reason.SAME_ADDRESS, 40
    if one.company_id is not None and one.company_id == other.company_id:
        yield Reason.SAME_COMPANY, 20
    if one.region is not None and one.region == other.region and "-" in one.region:
        yield Reason.SAME_REGION, 10


def _by_name(one: Traits, other: Traits) -> Iterator[tuple[Reason, int]]:
    shorter = min(one.size, other.size)
    weight = next(weight for size, weight in _NAME_WEIGHTS if shorter >= size)
    if one.words == other.words:
        yield Reason.SAME_NAME, weight
    elif shorter >= _LONG_NAME and (likeness := similarity(one.name, other.name)) >= _ALIKE:
        yield Reason.SIMILAR_NAME, round(weight * likeness)


def _by_birthday(one: date | None, other: date | None) -> Iterator[tuple[Reason, int]]:
    """Another birthday outweighs one thing that a family shares, as a phone, but not two strong reasons together."""
    if one is None or other is None:
        return
    if one == other:
        yield Reason.SAME_BIRTHDAY, 40
    elif one.year != other.year or {one.month, one.day} != {other.month, other.day}:
        # Day and month the other way round are one day, written in two countries; that says nothing either way.
        yield Reason.DIFFERENT_BIRTHDAY, -40


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


def _each(spelling: Callable[[Any], str], values: Iterable[Any]) -> frozenset[str]:
    return frozenset(spelling(value) for value in values)


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


def _place(address: Address) -> str:
    """Country, postal code (or city, without one) and lines; nothing where the lines could be of any place."""
    where = (address.postal_code or address.city or "").casefold().replace(" ", "").replace("-", "")
    plain = unicodedata.normalize("NFKC", address.lines).casefold()
    said = " ".join(_SHORT_FORMS.get(word, word) for word in _WORD.findall(plain))
    return f"{address.country} {where} {said}" if where and said else ""


# ---- keys ------------------------------------------------------------------------------------------------------------


def keys_of(traits: Traits) -> set[int]:
    """Whoever shall be compared has one of these in common; each of 64 bits.

    Long names have four keys of two least hashes each: of names with seven of ten trigrams in common, nineteen of
    twenty pairs have one of them in common; of those with two in ten, one of seven. The numbers in it are part of each,
    since names with others are not alike: or customers with numbers for names would meet the more, the more there are.

    A birthday is one with the initials of the name, which a typing error seldom hits.
    """
    said = [("phone", end) for end in traits.phone_ends]
    said += [("email", mailbox) for mailbox in traits.mailboxes]
    said += [("identity", spelled) for spelled in traits.spelled_identities]
    said += [("address", place) for place in traits.places]
    if traits.born is not None:
        initials = sorted({word[0] for word in traits.words})[:_MOST_INITIALS]
        said += [("birthday", f"{traits.born} {initial}") for initial in initials]
    if traits.company_id is not None:
        said.append(("name", f"{traits.company_id} {' '.join(traits.words)}"))
    if traits.size >= _LONG_NAME:
        least, numbers = _least_hashes(traits.name), " ".join(_numbers(traits.name))
        said += [(f"like{n}", f"{least[n]} {least[n + 1]} {numbers}") for n in range(0, len(least), 2)]
    return {_hash(f"{traits.kind} {what} {value}") for what, value in said}


def _least_hashes(name: str) -> list[int]:
    hashes = [crc32(trigram.encode()) for trigram in trigrams(name)]
    return [min((each ^ seed) * seed % _PRIME for each in hashes) for seed in _SEEDS]


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), signed=True)
