"""Units of measurement in English and Chinese, with what each measures and its size.

A compound unit ("mg/kg/day", "次/分", "mL per hour") is read as its first unit over the others. Times below a line
are turned into days, bodies of weight into kilograms, volumes into litres.
"""

# Tables and patterns read better whole.
# ruff: noqa: E501

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from guardmed.claims.clashes.lazy import Lazy

# What is measured, and for each unit its size in the first one: factor, then the names.
_TABLE: dict[str, tuple[tuple[float, str], ...]] = {
    "mass": (
        (1.0, "mg mgs milligram milligrams milligramme milligrammes 毫克"),
        (1e-3, "mcg µg μg ug microgram micrograms microgramme microgrammes 微克"),
        (1e-6, "ng nanogram nanograms 纳克"),
        (1e-9, "pg picogram picograms 皮克"),
        (1e3, "g gm gms gram grams gramme grammes 克"),
        (1e6, "kg kgs kilo kilos kilogram kilograms 千克 公斤"),
        (5e5, "斤"),
        (453592.0, "lb lbs pound pounds 磅"),
        (28349.5, "oz ounce ounces 盎司"),
    ),
    "volume": (
        (1.0, "ml mls cc millilitre millilitres milliliter milliliters 毫升"),
        (1e-3, "µl μl ul microlitre microlitres microliter microliters 微升"),
        (1e-12, "fl femtolitre femtolitres femtoliter femtoliters"),
        (100.0, "dl decilitre decilitres deciliter deciliters 分升"),
        (1e3, "l litre litres liter liters 升"),
        (5.0, "teaspoon teaspoons teaspoonful teaspoonfuls tsp 茶匙"),
        (15.0, "tablespoon tablespoons tablespoonful tablespoonfuls tbsp 汤匙 大汤匙"),
    ),
    "length": (
        (1.0, "mm millimetre millimetres millimeter millimeters 毫米"),
        (1e-6, "nm nanometre nanometres nanometer nanometers 纳米"),
        (1e-3, "µm μm um micron microns micrometre micrometres micrometer micrometers 微米"),
        (10.0, "cm centimetre centimetres centimeter centimeters 厘米 公分"),
        (1e3, "m metre metres meter meters 米"),
        (1e6, "km kilometre kilometres kilometer kilometers 公里 千米"),
        (25.4, "inch inches 英寸"),
        (304.8, "feet foot 英尺"),
    ),
    "time": (
        (1.0, "day days d 天 日"),
        (1 / 86_400_000, "ms msec millisecond milliseconds 毫秒"),
        (1 / 86400, "s sec secs second seconds 秒 秒钟"),
        (1 / 1440, "min mins minute minutes 分钟"),
        (1 / 24, "h hr hrs hour hours 小时 个小时 个钟头 钟头"),
        (7.0, "week weeks wk wks 周 星期 个星期 礼拜 个礼拜"),
        (14.0, "fortnight fortnights"),
        (30.4375, "month months mo 个月 月"),
        (365.25, "year years yr yrs 年"),
        (3652.5, "decade decades"),
    ),
    "age": (
        (365.25, "years-old year-old year-olds yr-old y/o 岁 周岁"),
        (30.4375, "months-old month-old month-olds 月龄 个月龄 个月大"),
        (7.0, "weeks-old week-old 周龄"),
        (1.0, "days-old day-old 日龄 天大"),
    ),
    "substance": (
        (1.0, "mmol mmols millimole millimoles meq 毫摩尔 毫摩 毫当量"),
        (1e-3, "µmol μmol umol micromole micromoles 微摩尔 微摩"),
        (1e-6, "nmol nanomole nanomoles 纳摩尔"),
        (1e-9, "pmol picomole picomoles 皮摩尔"),
        (1e3, "mol mole moles 摩尔"),
    ),
    "activity": (
        (1.0, "iu i.u. units unit u 国际单位 单位"),
        (1e-3, "miu mu milliunits 毫单位 毫国际单位"),
        (1e-6, "µiu μiu uiu µu μu"),
        (1e3, "kiu ku"),
    ),
    "energy": ((1.0, "kcal kilocalorie kilocalories calories 千卡 大卡"), (1 / 4.184, "kj kilojoule kilojoules 千焦")),
    "pressure": ((1.0, "mmhg torr 毫米汞柱"), (7.50062, "kpa kilopascal kilopascals 千帕"), (0.735559, "cmh2o 厘米水柱")),
    "share": ((0.01, "% percent 个百分点"), (0.001, "‰ permille"), (1e-6, "ppm")),
    "fold": ((1.0, "fold -fold 倍"),),
    "dioptre": ((1.0, "dioptres dioptre diopters diopter 屈光度"),),
    "radiation": ((1.0, "gy gray 戈瑞"), (0.01, "cgy"), (0.001, "mgy")),
    "equivalent": ((1.0, "msv millisievert millisieverts 毫西弗"), (1e3, "sv sievert sieverts 西弗")),
    "frequency": ((1.0, "hz hertz 赫兹"), (1e3, "khz 千赫"), (1e6, "mhz 兆赫")),
    "loudness": ((1.0, "db decibel decibels 分贝"),),
    "voltage": ((1.0, "mv millivolt millivolts 毫伏"), (1e3, "volt volts 伏")),
    "work": ((1.0, "j joule joules 焦耳"),),
    "beats": ((1.0, "bpm"),),
    "times": ((1.0, "times time doses dose beats breaths cycles compressions strokes 次 顿 剂 针 回"),),
    "piece": (
        (1.0, "tablet tablets tab tabs pill pills caplet caplets capsule capsules caps 片 粒 颗 枚 丸"),
        (1.0, "puff puffs inhalation inhalations spray sprays drop drops 吸 喷 揿 滴"),
    ),
    "package": ((1.0, "sachet sachets packet packets 袋 包"), (1.0, "bottle bottles vial vials ampoule ampoules 瓶 支"),),
    "temperature": ((1.0, "°c ℃ celsius centigrade degc 摄氏度"), (0.0, "°f ℉ fahrenheit degf 华氏度"), (1.0, "° degree degrees 度")),
    "point": ((1.0, "points point 分"),),
}  # fmt: skip
_MEASURES_TAKEN = frozenset({"mass", "volume", "activity", "substance", "piece", "package"})
# Between months or years and days or weeks people round: four weeks are a month.
_ROUGH_LIST = """
month months mo 个月 月 year years yr yrs 年 decade decades year-old years-old 岁 周岁 month-old months-old 月龄 个月龄 个月大
"""
_ROUGH = frozenset(_ROUGH_LIST.split())
_ROUNDED_LIST = """
lb lbs pound pounds 磅 oz ounce ounces 盎司 inch inches 英寸 feet foot 英尺 °f ℉ fahrenheit degf 华氏度 kpa kilopascal kilopascals 千帕 cmh2o 厘米水柱 kj
kilojoule kilojoules 千焦
"""
_ROUNDED = frozenset(_ROUNDED_LIST.split())
# "7个月" and "2个小时" are numbers of a unit, not of a thing.
_NAMES = {name: (measure, factor) for measure, rows in _TABLE.items() for factor, names in rows for name in names.split()}
_UNIT = "|".join(re.escape(name) for name in sorted(_NAMES, key=len, reverse=True))
_FIRST = Lazy(
    rf"[ -]?(?:degrees? |个)?(?P<unit>per ?cent|international units?|years?[ -](?:old|of age)|months?[ -](?:old|of age)|weeks?[ -](?:old|of age)|days?[ -]old|m²|m2|{_UNIT})"
)
_BELOW = Lazy(
    r" ?(?:/ ?|per |a (?=day|night|week|month|year|minute|hour)|an (?=hour)|each (?=day|night|week|month|year)|every (?=day|night|week|month|year)|in (?=24 ?h|1 day|a day)|每)"
    rf"(?P<number>1\.73 ?|24 ?|100 ?|10 ?)?(?P<unit>kilograms?|body surface|night|晚|分(?!升)|公斤体重|千克体重|平方米|m²|m2|{_UNIT})"
)
# "100mg每日1次" is not 100 mg a day, but so much once a day.
_HOW_OFTEN = Lazy(r" ?[服吃用口]{0,2} ?[\d一二两三四五六七八九十]{1,3} ?[次顿回]")
# What follows a Chinese character of a unit where it is the start of another word.
_NO_UNIT = {
    "克": "隆罗雷汀", "天": "然生性花津", "日": "本常光晒照记", "月": "经份", "年": "龄轻级代份老长", "升": "高主", "米": "饭粥", "分": "之类期型泌布叶娩化解析别成级子数钟裂流支离享配担", "度": "过",
    "次": "要之氯级", "片": "状段", "滴": "眼鼻耳", "包": "括皮膜", "支": "气架持原", "单位": "", "周": "围边期末", "时": "", "斤": "", "吸": "入烟收氧", "粒": "细", "颗": "粒", "丸": "", "袋": "", "回": "", "顿": "", "剂": "", "喷": "雾嚏", "倍": "他",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as read.

    Attributes
    ----------
    name : str
        As written, in lower case.
    measure : str
        What it measures: ``mass``, ``mass/volume``, ``mass/kg``, ...
    factor : float
        Times the number gives the measure's own base.
    per_time : bool
        The measure is for a day, which :attr:`factor` counts up to.
    rough : bool
        People round numbers of it.
    """

    name: str
    measure: str
    factor: float
    per_time: bool = False
    rough: bool = False

    @property
    def metric(self) -> bool:
        """Whether numbers in it are converted without rounding."""
        return self.name.split("/")[0] not in _ROUNDED

    @property
    def taken(self) -> bool:
        """Whether it is one that drugs are taken in."""
        return self.measure.split("/")[0] in _MEASURES_TAKEN and self.measure.count("/") == self.measure.count("/kg")

    def base(self, number: float) -> float:
        """A number of the unit in the base of its measure."""
        if self.measure == "temperature" and self.factor == 0.0:
            return (number - 32) * 5 / 9
        return number * self.factor


def unit_at(text: str, at: int) -> tuple[Unit, int] | None:
    """The unit that starts at a place, right after a number, and where it ends."""
    match = _FIRST.match(text, at, at + 40)
    if match is None or _goes_on(text, match.end(), match["unit"]):
        return None
    unit = _first(match["unit"].lower())
    end = match.end()
    for _ in range(3):
        below = _BELOW.match(text, end, end + 30)
        if below is not None and below.group().lstrip().startswith("每") and _HOW_OFTEN.match(text, below.end(), below.end() + 12):
            break
        if below is None or _goes_on(text, below.end(), below["unit"]) or (unit.measure == "time" and not below.group().lstrip().startswith("/")):
            break
        over = _over(unit, below["unit"].lower(), float(below["number"] or 1))
        if over is None:
            break
        unit, end = over, below.end()
    return unit, end


def per(text: str, at: int) -> tuple[Unit, int] | None:
    """A rate without a unit above the line, right after a number: "80 per minute", "80/min"."""
    below = _BELOW.match(text, at, at + 30)
    if below is None or _goes_on(text, below.end(), below["unit"]):
        return None
    over = _over(Unit("", "times", 1.0), below["unit"].lower(), float(below["number"] or 1))
    return None if over is None or not over.per_time else (over, below.end())


@lru_cache(maxsize=1024)
def _first(name: str) -> Unit:
    name = {"per cent": "percent", "international unit": "iu", "international units": "iu"}.get(name, name)
    name = re.sub(r"^(year|month|week|day)s?[ -](?:old|of age)$", r"\1-old", name)
    if name in ("m²", "m2"):
        return Unit(name, "area", 1.0)
    measure, factor = _NAMES[name]
    if measure == "beats":
        return Unit(name, "times", 1440.0, True)
    return Unit(name, measure, factor, rough=name in _ROUGH)


def _over(unit: Unit, name: str, number: float) -> Unit | None:
    """A unit over another."""
    written = f"{unit.name}/{name}"
    if name in ("night", "晚", "分", "d"):
        days = 1 / 1440 if name == "分" else 1.0
    elif name in ("公斤体重", "千克体重", "kilogram", "kilograms"):
        return Unit(written, f"{unit.measure}/kg", unit.factor, unit.per_time)
    elif name in ("平方米", "m²", "m2", "body surface"):
        return Unit(written, f"{unit.measure}/m2", unit.factor, unit.per_time)
    else:
        measure, factor = _NAMES[name]
        if measure == "time":
            days = factor * number
        elif measure == "mass":
            return Unit(written, f"{unit.measure}/kg", unit.factor / (factor * number / 1e6), unit.per_time)
        elif measure == "volume":
            return Unit(written, f"{unit.measure}/volume", unit.factor / (factor * number / 1e3), unit.per_time)
        elif measure == "substance":
            return Unit(written, f"{unit.measure}/substance", unit.factor / factor, unit.per_time)
        elif measure in ("times", "piece", "package"):
            # "per dose", "per tablet": still the amount itself.
            return Unit(unit.name, unit.measure, unit.factor, unit.per_time, unit.rough)
        else:
            return None
    return None if unit.per_time else Unit(written, unit.measure, unit.factor / days, True)


def _goes_on(text: str, end: int, name: str) -> bool:
    """Whether a name of a unit is only the start of another word."""
    after = text[end : end + 1]
    if name[-1].isascii():
        return name[-1].isalnum() and after.isascii() and after.isalnum()
    return bool(after) and after in _NO_UNIT.get(name[-1] if name not in _NO_UNIT else name, "")
