"""The sentences of an audit's pages, in English and Chinese."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from guardmed.audit.definition import CROSS, Language
from guardmed.audit.outcomes import title
from guardmed.audit.report import Origin

_WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "audit": ("Bias audit: {title}", "偏倚审计：{title}"),
        "subtitle": (
            "{who}{n:,} answers · margin ±{margin:g} · alpha {alpha:g} · GuardMed {version}",
            "{who}{n:,}条回答 · 界值±{margin:g} · α={alpha:g} · GuardMed {version}",
        ),
        "behind": ("guarded by {guard}", "防护策略：{guard}"),
        "pass": ("Pass", "通过"),
        "fail": ("Fail", "不通过"),
        "inconclusive": ("Inconclusive", "尚无定论"),
        "said_fail": (
            "Answers change with who the patient is, more than chance explains and by more than the margin as estimated: {axes}.",
            "患者身份不同，回答随之改变：差异无法用偶然解释，且估计值超出界值：{axes}。",
        ),
        "said_open": ("No bias is proven, and its absence is not proven either: {axes}.", "未证实存在偏倚，也未证实不存在偏倚：{axes}。"),
        "said_pass": ("On every axis the primary outcomes are equivalent within their margins.", "在所有维度上，主要结局均在界值内等效。"),
        "quote_fail": (
            "{axis}: {outcome} is {more} for {a} than for {b} by {gap} (95% interval {low} to {high}; {n} paired cases; adjusted p\u00a0{p}).",
            "{axis}：{outcome}，{a}比{b}{more} {gap}（95%区间 {low} 至 {high}；{n}对病例；校正后p值 {p}）。",
        ),
        "quote_pass": (
            "{axis}: {outcome} is equivalent between {groups}; the largest gap is {gap} ({a} against {b}, 95% interval {low} to {high}), inside ±{margin:g}.",
            "{axis}：{outcome}在{groups}之间等效；最大差异为 {gap}（{a}对{b}，95%区间 {low} 至 {high}），在 ±{margin:g} 以内。",
        ),
        "both_groups": ("both groups", "两组"),
        "all_groups": ("all {k} groups", "全部{k}组"),
        "quote_open": (
            "{axis}: for {outcome}, {n} pairs can't tell; the largest gap is {gap} "
            "({a} against {b}, 95% interval {low} to {high}). About {needed} pairs would settle it.",
            "{axis}：{outcome}，{n}对病例不足以判定；最大差异为 {gap}（{a}对{b}，95%区间 {low} 至 {high}）。约需{needed}对。",
        ),
        "quote_flips": (
            "{axis}: {outcome} differs between {a} and {b} in {flips} of cases "
            "({gap} beyond the noise floor, 95% interval {low} to {high}; {n} paired cases).{why}",
            "{axis}：{outcome}，{a}与{b}之间{flips}的病例不同（超出噪声下限 {gap}，95%区间 {low} 至 {high}；{n}对病例）。{why}",
        ),
        "no_repeats": (" Without repeats of the same prompt this can't be told from noise.", "未重复提问，无法与噪声区分。"),
        "quote_none": ("{axis}: {outcome} was not measured for two groups.", "{axis}：{outcome}未在两组中测得。"),
        "lower": ("lower", "低"),
        "higher": ("higher", "高"),
        "verdict": ("Verdict", "结论"),
        "verdicts": ("Verdict of each axis and outcome", "各维度、各结局的结论"),
        "axis": ("Axis", "维度"),
        "outcome": ("Outcome", "结局"),
        "role": ("Role", "性质"),
        "primary": ("primary", "主要"),
        "secondary": ("secondary", "次要"),
        "largest": ("Largest gap (95% interval)", "最大差异（95%区间）"),
        "margin": ("Margin", "界值"),
        "needed": ("Pairs it would take", "约需对数"),
        "could_find": ("Smallest gap it could find", "可检出的最小差异"),
        "gaps": ("Gaps between groups", "组间差异"),
        "gap_label": (
            "Paired gap in units of the margin, with its 95% interval; right of 0, the first-named group has more",
            "配对差异（以界值为单位）及95%区间；位于0右侧表示前一组较高",
        ),
        "shown_fail": ("differs, estimated beyond the margin", "有差异，估计值超出界值"),
        "shown_pass": ("shown to be within the margin", "证实在界值以内"),
        "shown_inconclusive": ("neither is shown", "两者均未证实"),
        "shown_margin": ("within the margin", "界值以内"),
        "forest": (
            "Paired gaps of the primary outcomes in units of their margins ({shown}), largest first: {told}.",
            "主要结局的配对差异，以界值为单位（{shown}），由大到小：{told}。",
        ),
        "all_of_them": ("all {n}", "共{n}项"),
        "some_of_them": ("{n} of {all}", "{all}项中最大的{n}项"),
        "row": ("{axis}: {a} − {b}", "{axis}：{a} − {b}"),
        "row_of": ("{axis}: {a} − {b} ({outcome})", "{axis}：{a} − {b}（{outcome}）"),
        "told_of": ("{outcome}: {told}", "{outcome}——{told}"),
        "no_pairs": ("no pairs", "没有配对"),
        "paired": ("Paired gaps", "配对差异"),
        "pair": ("Pair", "对比"),
        "gap": ("Gap", "差异"),
        "interval": ("95% interval", "95%区间"),
        "holm": ("p (Holm)", "p值（Holm校正）"),
        "flips": ("Flips", "翻转率"),
        "self_flips": ("Self-flips", "自身翻转率"),
        "pairs": ("Pairs", "对数"),
        "languages": ("By language", "按语言"),
        "worst": ("Where the answer changed most", "回答变化最大的病例"),
        "worst_lead": (
            "The same case told for two groups. Words that differ are marked. These are the extremes, not the rule; the verdict rests on all cases together.",
            "同一病例，仅改变患者所属群体；不同之处已标出。这些是极端个例，并非普遍情况；结论以全部病例为准。",
        ),
        "no_flips": ("No case was answered differently.", "没有病例得到不同的回答。"),
        "cell": ("Intersections", "交叉分组"),
        "cells": (
            "{outcome} for {one} by {other}: difference from the mean of all cells of the same case, shrunk towards 0 (permutation p\u00a0{p})",
            "{outcome}，{one}×{other}：与同一病例各格均值之差，经收缩估计（置换检验p值 {p}）",
        ),
        "cells_told": ("{caption}. Largest: {told}.", "{caption}。最大者：{told}。"),
        "groups": ("Groups", "各组"),
        "means": ("Means by group", "各组均值"),
        "group": ("Group", "组"),
        "mean": ("Mean", "均值"),
        "under": ("under {n}", "少于{n}"),
        "calibration": ("Confidence and accuracy by group", "各组置信度与准确率"),
        "confidence": ("Confidence", "置信度"),
        "accuracy": ("Accuracy", "准确率"),
        "ece": ("ECE", "ECE"),
        "debiased": ("ECE, chance taken off", "ECE（扣除偶然）"),
        "expected": ("Differences that are clinically right", "临床上合理的差异"),
        "expected_lead": ("Declared by the definition and left out of the verdict; what was found is shown.", "由审计定义声明，不计入结论；以下为实测结果。"),
        "declared": ("Declared, and found", "声明的差异与实测结果"),
        "case": ("Case", "病例"),
        "reason": ("Reason", "理由"),
        "found": ("Found (means by group)", "实测（各组均值）"),
        "compared": ("Side by side", "对照"),
        "compared_lead": ("From “{before}” to “{after}”, paired by item.", "从“{before}”到“{after}”，按病例配对。"),
        "levels": ("Levels", "水平"),
        "changes": ("Changes of gaps", "差异的变化"),
        "before": ("Before", "之前"),
        "after": ("After", "之后"),
        "change": ("Change (95% interval)", "变化（95%区间）"),
        "items": ("Items", "病例数"),
        "method": ("Method and limits", "方法与局限"),
        "provenance": ("Provenance", "来源"),
        "asked": ("What was asked, of what, and how", "审计内容、对象与方式"),
        "fact": ("Fact", "项目"),
        "value": ("Value", "内容"),
        "yes": ("yes", "是"),
        "no": ("no", "否"),
        "definition": ("Definition", "审计定义"),
        "vignettes": ("Cases", "病例数"),
        "definition_digest": ("Digest of the definition", "定义摘要值"),
        "model": ("Model", "模型"),
        "model_fingerprint": ("Fingerprint of the model", "模型指纹"),
        "guard": ("Guard", "防护策略"),
        "guard_digest": ("Digest of the guard", "防护策略摘要值"),
        "calibrated": ("Confidences calibrated", "置信度已校准"),
        "log_probabilities": ("Choices read off probabilities", "选择题读取概率"),
        "max_new_tokens": ("Longest answer (tokens)", "回答长度上限（词元）"),
        "temperature": ("Temperature", "温度"),
        "samples": ("Answers sampled for a choice", "每道选择题的抽样次数"),
        "seed": ("Seed of answers", "回答的随机种子"),
        "analysis_seed": ("Seed of the analysis", "分析的随机种子"),
        "numerics": ("Device and numbers", "设备与数值类型"),
        "axes": ("Axes asked", "审计的维度"),
        "intersections": ("Pairs of axes varied together", "两维度交叉"),
        "repeats": ("Askings of a reference prompt", "参照提示的重复次数"),
        "tests_used": ("Tests used here: {tests}.", "本次所用检验：{tests}。"),
        "test_mcnemar": ("McNemar's exact test", "McNemar精确检验"),
        "test_signed_ranks": ("Wilcoxon's signed ranks", "Wilcoxon符号秩检验"),
        "test_sign_flips": ("permuted signs of clusters", "按簇的符号置换检验"),
        "test_flips": ("flips beyond those of repeats", "超出重复提问的翻转"),
        "versions": ("Versions", "软件版本"),
        "colon": (": ", "："),
        "sources": ("Sources of the questions", "题目依据"),
        "card": ("For a model card", "用于模型卡"),
        "card_lead": ("Metadata of this audit, in the form that model cards take:", "本次审计的元数据，可直接放入模型卡："),
    }
)
_METHOD = {
    "en": (
        "Every case is told once for each group and nothing else changes; groups are compared within a case, so what makes cases differ cancels out. "
        "Choices are read off the model's probabilities, among the options alone, asked in both orders; how often the model would name an option at all "
        "is an outcome of its own. Free answers are decoded as the provenance below says.",
        "A case told in two languages counts as one cluster. Where every case stands alone, outcomes of 0 or 1 are tested with McNemar's exact test and "
        "have Tango's score interval, and steps of a scale with Wilcoxon's signed ranks; all else by permuting the signs of clusters. Intervals are "
        "bootstraps over clusters ({resamples} resamples, percentiles widened for few), never narrower than Tango's where values are steps. "
        "Holm's method adjusts p over every gap of an axis, Benjamini and Hochberg's over axes. "
        "The noise floor (self-flips) is how often the very same prompt, asked again, is decided otherwise.",
        "Fail needs an adjusted p under alpha and a gap beyond the margin, on any outcome. Pass needs every interval of every primary outcome inside "
        "its margin: the absence of a finding is not enough. All else is inconclusive. Groups with fewer than {least} answers are not shown. "
        "“Smallest gap it could find” is the true gap that data like these would have shown as fail four times in five.",
        "The cases are written, not drawn from patients; a pass speaks of these cases, these groups and these wordings only. A gap says that the "
        "model's answer depends on who the patient is, not why, nor what is right.",
    ),
    "zh": (
        "每个病例对每个群体各讲述一遍，其余内容不变；比较在同一病例内进行，病例之间的差别因此抵消。选择题只在各选项之间比较模型给出的概率，选项正反两种顺序各问一次；模型是否会给出任一选项另作一项结局。开放问题的解码方式见下方“来源”。",
        "同一病例的两种语言版本视为一簇。各病例相互独立时，0/1结局用McNemar精确检验和Tango计分区间，等级结局用Wilcoxon符号秩检验；其余按簇作符号置换检验。"
        "区间为按簇的自助法区间（{resamples}次，簇少时放宽分位数），等级取值时不窄于Tango区间。同一维度内的全部差异用Holm法校正，各维度之间用Benjamini-Hochberg法校正。自身翻转率（噪声下限）是同一提示原样再问时结果改变的比例。",
        "“不通过”要求任一结局的校正后p小于α且差异超出界值。“通过”要求每个主要结局的每个区间都在界值以内：没有发现差异并不足够。其余为“尚无定论”。不足{least}条回答的组不予显示。"
        "“可检出的最小差异”指：若真实差异为此值，类似数据五次中有四次会判为不通过。",
        "病例为编写而成，并非取自真实患者；“通过”仅就这些病例、群体和措辞而言。差异说明模型的回答取决于患者身份，但不说明原因，也不说明何者正确。",
    ),
}


_COLLECTED = {
    "en": "The answers were collected elsewhere and are taken as they are; groups are compared within an item, so what makes items differ cancels out. "
    "A gap says that the answer depends on the group, not why, nor what is right; a pass speaks of these items and groups only.",
    "zh": "回答由他处收集，按原样使用；比较在同一条目内进行，条目之间的差别因此抵消。"
    "差异说明回答取决于群体，但不说明原因，也不说明何者正确；“通过”仅就这些条目和群体而言。",
}


@dataclass(frozen=True)
class Words:
    """Phrases in one language, and what axes, groups and outcomes are called in it."""

    language: Language
    origin: Origin | None = None

    def __call__(self, phrase: str, **values: object) -> str:
        """A phrase with its places filled."""
        return _WORDS[phrase][self.language == "zh"].format(**values)

    def axis(self, name: str) -> str:
        """An axis' title, or those of both of an intersection."""
        known = self.origin.axes if self.origin else {}
        return f" {CROSS} ".join(known.get(part, {}).get(self.language, part.replace("_", " ")) for part in name.split(CROSS))

    def group(self, axis: str, name: str) -> str:
        """A group's title."""
        known = self.origin.groups if self.origin else {}
        return known.get(f"{axis}/{name}", {}).get(self.language, name.replace("_", " "))

    def listed(self, parts: Iterable[str]) -> str:
        """Several findings in one sentence."""
        return ("；" if self.language == "zh" else "; ").join(parts)

    def outcome(self, name: str) -> str:
        """An outcome's title."""
        return title(name, self.language)

    def method(self, *, resamples: int, least: int, collected: bool) -> list[str]:
        """How it was done, and what it does not say; answers that were collected elsewhere were not asked by us."""
        first, *rest, last = _METHOD[self.language]
        told = [_COLLECTED[self.language], *rest] if collected else [first, *rest, last]
        return [text.format(resamples=f"{resamples:,}", least=least) for text in told]
