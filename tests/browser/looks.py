"""What holds of every page, asked of the browser that has drawn it."""

from __future__ import annotations

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# WCAG 2.0 to 2.2, levels A and AA, and what axe-core calls best practice.
_RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}, "resultTypes": ["violations"]}

# What ends right of a width and does not scroll by itself, within the reach of a keyboard.
_LOST = """width => [...document.querySelectorAll('body *')].filter(one =>
  one.getBoundingClientRect().right > width + 1 && !one.closest('[tabindex="0"]')).map(one => one.outerHTML.slice(0, 120))"""

# On paper nothing scrolls.
_BEYOND = """width => [...document.querySelectorAll('main td, main th, main p, main li, main pre, svg')].filter(one =>
  one.getBoundingClientRect().right > width + 1).map(one => one.outerHTML.slice(0, 120))"""

# Where texts of a plot end outside it, or two of them overlap; sizes are what the browser really drew.
_CLASHES = """() => [...document.querySelectorAll('figure svg')].flatMap((svg, place) => {
  const edge = svg.getBoundingClientRect(), found = [];
  const texts = [...svg.querySelectorAll('text')].filter(one => one.textContent.trim()).map(one => [one.textContent, one.getBoundingClientRect()]);
  for (const [text, box] of texts)
    if (box.left < edge.left - 1 || box.right > edge.right + 1 || box.top < edge.top - 1 || box.bottom > edge.bottom + 1) found.push(`${place}: cut: ${text}`);
  texts.forEach(([text, a], i) => texts.slice(i + 1).forEach(([other, b]) => {
    if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
      found.push(`${place}: ${text} over ${other}`);
  }));
  return found;
})"""

# Every Chinese character, drawn in the font of the element it stands in, against a code point that no font has.
_MISSING = """() => {
  const canvas = document.createElement('canvas'); canvas.width = canvas.height = 40;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  const drawn = (text, family) => {
    pen.clearRect(0, 0, 40, 40); pen.font = `24px ${family}`; pen.fillText(text, 4, 30);
    return pen.getImageData(0, 0, 40, 40).data.join();
  };
  const seen = {}, walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const family = getComputedStyle(walker.currentNode.parentElement).fontFamily;
    for (const one of walker.currentNode.data.match(/\\p{Script=Han}/gu) || []) (seen[family] ||= new Set()).add(one);
  }
  const counted = {missing: [], shown: 0};
  for (const [family, all] of Object.entries(seen)) {
    const box = drawn('\\u{10ffff}', family), blank = drawn(' ', family);
    for (const one of all) { const look = drawn(one, family); look === box || look === blank ? counted.missing.push(one) : counted.shown++; }
  }
  return counted;
}"""


def lost_sideways(page, size: dict[str, int]) -> list[str]:
    """What can't be reached at a window's size; the page itself never scrolls sideways."""
    page.set_viewport_size(size)
    try:
        wide = page.evaluate("document.documentElement.scrollWidth")
        return [f"the page is {wide} wide"] if wide > size["width"] else page.evaluate(_LOST, size["width"])
    finally:
        page.set_viewport_size(WIDE)


def lost_on_paper(page) -> list[str]:
    """What runs off an A4 page, or is cut because it scrolls on a screen."""
    width = 688  # A4 less its margins, in CSS pixels
    page.emulate_media(media="print")
    page.set_viewport_size({"width": width, "height": 1000})
    try:
        cut = "boxes => boxes.filter(one => one.scrollHeight > one.clientHeight + 1).map(one => one.getAttribute('aria-label'))"
        return page.evaluate(_BEYOND, width) + page.locator(".long, pre").evaluate_all(cut)
    finally:
        page.emulate_media(media="screen")
        page.set_viewport_size(WIDE)


def clashes_in_plots(page) -> list[str]:
    """Texts of plots that are cut off or lie over one another."""
    return page.evaluate(_CLASHES)


def missing_characters(page) -> tuple[list[str], int]:
    """Chinese characters that no font of this machine draws, and how many different ones are drawn."""
    counted = page.evaluate(_MISSING)
    return counted["missing"], counted["shown"]


def violations(page, axe, size: dict[str, int]) -> str:
    """What axe-core finds, in words; empty where all is well."""
    page.set_viewport_size(size)
    try:
        found = axe.run(page, options=_RULES)
        # Rules that found nothing to look at pass too; some must have looked.
        assert len(found.response["passes"]) > 15
        return found.generate_report() if found.violations_count else ""
    finally:
        page.set_viewport_size(WIDE)
