"""How likely two customers are the same: a table of who has what in common, and the keys by which they are found."""

import random
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.customers.duplicates.rules import (
    ADDRESSES,
    CONTACT,
    LISTED,
    Address,
    Reason,
    Traits,
    compare,
    keys_of,
    plain,
    score,
    similarity,
    trigrams,
    without_addresses,
    words,
)
from app.customers.duplicates.traits import traits_from

COMPANY = UUID(int=7)
PHONE = "+8613812345678"


def who(name: str = "王伟", **fields: Any) -> Traits:
    phone, email, identities = (fields.pop(each, None) for each in ("phone", "email", "identities"))
    said = {"kind": "person", "name": name, "region": None, "company_id": None, **fields}
    return traits_from(said, phone, email, identities or [])


BORN = date(1990, 3, 4)
AT = Address("CN", "200001", "Shanghai", "88 Lantern Street, gate 3")


def at(**said: Any) -> dict[str, Any]:
    return {"addresses": frozenset({AT._replace(**said)})}


def also(kind: str, value: str) -> dict[str, Any]:
    return {"identities": [(kind, value)]}


PAIRS: list[tuple[str, Traits, Traits, int, dict[str, int]]] = [
    ("nothing", who("Li Wei"), who("Ana Gomez"), 0, {}),
    ("a short Chinese name", who(), who(), 20, {"same_name": 20}),
    ("a letter of a short name", who("王伟"), who("王维"), 0, {}),
    ("a short name and region", who(region="CN-31"), who(region="CN-31"), 28, {"same_name": 20, "same_region": 10}),
    ("a country says nothing", who(region="CN"), who(region="CN"), 20, {"same_name": 20}),
    ("a name in another order", who("Li Wei"), who("wei, LI"), 35, {"same_name": 35}),
    (
        "a short name, company and region",
        who("Li Wei", company_id=COMPANY, region="CN-31"),
        who("Li Wei", company_id=COMPANY, region="CN-31"),
        53,
        {"same_name": 35, "same_company": 20, "same_region": 10},
    ),
    ("a phone", who("C-1", phone=PHONE), who("Li Wei", phone=PHONE), 60, {"same_phone": 60}),
    (
        "a phone as field and as identity",
        who("C-1", phone=PHONE),
        who("Li Wei", **also("phone", PHONE)),
        60,
        {"same_phone": 60},
    ),
    (
        "a phone with another prefix, and the name",
        who("Li Wei", phone=PHONE),
        who("Li Wei", phone="+13812345678"),
        61,
        {"similar_phone": 40, "same_name": 35},
    ),
    (
        "a phone with another prefix alone",
        who("C-1", phone=PHONE),
        who(phone="+13812345678"),
        40,
        {"similar_phone": 40},
    ),
    ("an address", who("C-1", email="A@x.example"), who("Wei", **also("email", "a@x.example")), 75, {"same_email": 75}),
    (
        "an address with dots and a tag",
        who("C-1", email="li.wei+shop@gmail.com"),
        who("Li Wei", email="liwei@googlemail.com"),
        60,
        {"similar_email": 60},
    ),
    ("another mailbox", who("C-1", email="li@x.example"), who("Li Wei", email="li@y.example"), 0, {}),
    (
        "a long identity of two sources",
        who("C-1", **also("wechat", "oGZUI0egBJY1zhBYw2KhdUfwVJJE")),
        who("Li Wei", **also("wechat_app", "oGZUI0egBJY1zhBYw2KhdUfwVJJE")),
        75,
        {"same_identity": 75},
    ),
    (
        "a short identity, spelled otherwise",
        who("C-1", **also("external", "C-1001")),
        who("Li Wei", **also("crm", "c1001")),
        35,
        {"same_identity": 35},
    ),
    ("an identity that is too short", who("C-1", **also("a", "17")), who("Li Wei", **also("b", "17")), 0, {}),
    ("a long name", who("Blue Lantern Teahouse"), who("BLUE LANTERN  teahouse"), 75, {"same_name": 75}),
    ("a long name alike", who("Blue Lantern Teahouse"), who("Blue Lantern Tea House"), 60, {"similar_name": 60}),
    (
        "a legal form",
        who("Blue Lantern Teahouse Co., Ltd"),
        who("Blue Lantern Teahouse Limited"),
        75,
        {"same_name": 75},
    ),
    ("a Chinese company", who("上海蓝灯笼茶馆有限公司"), who("上海蓝灯笼茶馆"), 75, {"same_name": 75}),
    (
        "a Chinese company with another character",
        who("上海市浦东新区蓝灯笼茶叶贸易股份有限公司"),
        who("上海市浦东新区蓝灯笼茶业贸易有限公司"),
        50,
        {"similar_name": 50},
    ),
    ("another number", who("Amber Bakery Books 123"), who("Amber Bakery Books 124"), 0, {}),
    ("a branch", who("Blue Lantern Teahouse"), who("Blue Lantern Teahouse 2"), 0, {}),
    ("a birthday", who("C-1", birthday=BORN), who(birthday=BORN), 40, {"same_birthday": 40}),
    (
        "a birthday and a short name",
        who(birthday=BORN),
        who(birthday=BORN),
        52,
        {"same_birthday": 40, "same_name": 20},
    ),
    (
        "a birthday and a long name alike",
        who("Maria Fernanda Castellanos", birthday=BORN),
        who("Maria Fernanda Castelanos", birthday=BORN),
        80,
        {"same_birthday": 40, "similar_name": 67},
    ),
    (
        "a phone of two birthdays, a family's",
        who("C-1", phone=PHONE, birthday=BORN),
        who(phone=PHONE, birthday=date(1960, 3, 4)),
        36,
        {"same_phone": 60, "different_birthday": -40},
    ),
    (
        "phone and name, but another birthday",
        who("Blue Lantern Teahouse", phone=PHONE, birthday=BORN),
        who("Blue Lantern Teahouse", phone=PHONE, birthday=date(1991, 3, 4)),
        54,
        {"same_name": 75, "same_phone": 60, "different_birthday": -40},
    ),
    (
        "day and month the other way round",
        who("C-1", phone=PHONE, birthday=BORN),
        who(phone=PHONE, birthday=date(1990, 4, 3)),
        60,
        {"same_phone": 60},
    ),
    (
        "the first of January, of whom only the year is known",
        who("Li Wei", birthday=date(1990, 1, 1)),
        who("Li Wei", birthday=date(1990, 1, 1)),
        35,
        {"same_name": 35},
    ),
    (
        "the first of January against another day",
        who("C-1", phone=PHONE, birthday=date(1990, 1, 1)),
        who(phone=PHONE, birthday=BORN),
        60,
        {"same_phone": 60},
    ),
    (
        "companies have no birthday",
        who("C-1", kind="company", phone=PHONE, birthday=BORN),
        who(kind="company", phone=PHONE, birthday=date(1991, 1, 2)),
        60,
        {"same_phone": 60},
    ),
    ("an address", who("C-1", **at()), who(**at()), 40, {"same_address": 40}),
    (
        "an address, spelled otherwise, and a short name",
        who(**at()),
        who(**at(postal_code="200 001", city=None, lines="88 LANTERN ST gate 3")),
        52,
        {"same_address": 40, "same_name": 20},
    ),
    (
        "lines of an address without postal code, in one city",
        who(**at(postal_code=None)),
        who(**at(postal_code=None)),
        52,
        {"same_address": 40, "same_name": 20},
    ),
    (
        "lines of an address that could be anywhere",
        who(**at(postal_code=None, city=None)),
        who(**at(postal_code=None, city=None)),
        20,
        {"same_name": 20},
    ),
    ("another postal code", who(**at()), who(**at(postal_code="200002")), 20, {"same_name": 20}),
    ("another country", who(**at()), who(**at(country="TW")), 20, {"same_name": 20}),
    ("another house", who(**at()), who(**at(lines="8 Lantern Street, gate 83")), 20, {"same_name": 20}),
    (
        "birthday and address",
        who("C-1", birthday=BORN, **at()),
        who(birthday=BORN, **at()),
        64,
        {"same_birthday": 40, "same_address": 40},
    ),
    (
        "birthday and company",
        who("Wei Li", birthday=BORN, company_id=COMPANY),
        who("Wen Lin", birthday=BORN, company_id=COMPANY),
        52,
        {"same_birthday": 40, "same_company": 20},
    ),
    ("a person and a company", who(phone=PHONE, kind="company"), who(phone=PHONE), 0, {}),
    (
        "everything",
        who("Blue Lantern Teahouse", phone=PHONE, email="a@x.example", region="CN-31"),
        who("Blue Lantern Teahouse", phone=PHONE, email="a@x.example", region="CN-31"),
        98,
        {"same_email": 75, "same_name": 75, "same_phone": 60, "same_region": 10},
    ),
]


@pytest.mark.parametrize(
    ("one", "other", "expected", "reasons"), [each[1:] for each in PAIRS], ids=[e[0] for e in PAIRS]
)
def test_what_two_have_in_common_says_how_likely_they_are_the_same(
    one: Traits, other: Traits, expected: int, reasons: dict[str, int]
) -> None:
    verdict = compare(one, other)
    assert (verdict.score, verdict.reasons) == (expected, reasons)
    assert compare(other, one) == verdict
    named = {Reason(name): n for name, n in reasons.items()}
    told = {name: n for name, n in named.items() if name not in ADDRESSES}
    assert verdict.contact_score == score(told)
    assert verdict.plain_score == score({name: n for name, n in told.items() if name not in CONTACT})


def test_whom_a_birthday_tells_apart_is_listed_for_whoever_may_not_know_of_it() -> None:
    one, other = (who("Blue Lantern Teahouse", birthday=date(year, 3, 4)) for year in (1990, 1991))
    verdict = compare(one, other)
    assert (verdict.score, verdict.contact_score, verdict.plain_score, verdict.listed) == (45, 45, 75, True)
    assert not compare(who(birthday=BORN), who("Wei", birthday=BORN)).listed


def test_numbers_in_names_keep_those_apart_who_are_not_alike() -> None:
    names = [f"Amber Bakery Books {n}" for n in (1234, 1235)]
    assert similarity(*names) == 0
    assert not keys_of(who(names[0])) & keys_of(who(names[1]))
    assert keys_of(who(names[0])) & keys_of(who("Amber Bakery Boks 1234"))


EXACT = [each for each in PAIRS if each[3] >= LISTED and Reason.SIMILAR_NAME not in each[4]]


@pytest.mark.parametrize(("one", "other"), [each[1:3] for each in EXACT], ids=[each[0] for each in EXACT])
def test_whoever_is_listed_has_a_key_in_common(one: Traits, other: Traits) -> None:
    assert keys_of(one) & keys_of(other)


def test_nine_of_ten_names_with_a_typing_error_have_a_key_in_common() -> None:
    drawn = random.Random(4)
    letters = "abcdefghijklmnopqrstuvwxyz"
    found = there = 0
    for _ in range(400):
        name = " ".join("".join(drawn.choices(letters, k=8)) for _ in range(3))
        place = drawn.randrange(len(name))
        wrong = name[:place] + name[place + 1 :]
        if similarity(name, wrong) >= 0.7:
            there += 1
            found += bool(keys_of(who(name)) & keys_of(who(wrong)))
    assert there > 300
    assert found / there > 0.9


def test_a_name_has_the_trigrams_that_the_database_would_find() -> None:
    assert trigrams("Wei") == {"  w", " we", "wei", "ei "}
    assert trigrams("王伟") == {"  王", " 王伟", "王伟 "}
    assert words("Co., Ltd") == ("co", "ltd"), "nothing else is left"


NAMES = st.text(min_size=1, max_size=40)


@given(NAMES, NAMES)
def test_likeness_is_a_share_the_same_either_way(one: str, other: str) -> None:
    assert 0 <= similarity(one, other) == similarity(other, one) <= 1
    assert all(-(2**63) <= key < 2**63 for key in keys_of(who(one, phone=PHONE)))


@given(st.dictionaries(st.sampled_from(list(Reason)), st.integers(0, 100)))
def test_more_reasons_never_say_less(reasons: dict[Reason, int]) -> None:
    assert 0 <= score(plain(reasons)) <= score(without_addresses(reasons)) <= score(reasons) <= 100


WEIGHTS = st.dictionaries(st.sampled_from(list(Reason)), st.integers(-100, 100))


@given(WEIGHTS, st.integers(-100, 0))
def test_what_speaks_against_it_never_says_more(reasons: dict[Reason, int], against: int) -> None:
    without = dict(reasons)
    without.pop(Reason.DIFFERENT_BIRTHDAY, None)
    assert 0 <= score({**without, Reason.DIFFERENT_BIRTHDAY: against}) <= score(without) <= 100
