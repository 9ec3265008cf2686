"""What the tree of regions answers."""

from enum import StrEnum

from pydantic import ConfigDict, Field

from app.core.bounds import Out


class Level(StrEnum):
    """How deep in the tree a region stands."""

    COUNTRY = "country"
    PROVINCE = "province"
    CITY = "city"
    COUNTY = "county"


class RegionName(Out):
    """What a region is called; below China's provinces in Chinese only."""

    en: str | None
    zh: str


class RegionOut(Out):
    """A region: a country, or a province, a city or a county of China."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"code": "CN-44", "parent": "CN", "level": "province", "name": {"en": "Guangdong", "zh": "广东省"}}
            ]
        }
    )

    code: str = Field(description="what a customer's `region` may be; begins with the codes that it lies in")
    parent: str | None
    level: Level
    name: RegionName


class RegionDetail(RegionOut):
    """A region, and those that it lies in."""

    model_config = ConfigDict(json_schema_extra={"examples": []})

    within: list[RegionOut] = Field(description="the country first")


class RegionPage(Out):
    """A page of regions, by code."""

    items: list[RegionOut]
    next_cursor: str | None
