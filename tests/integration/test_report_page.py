"""The report's page in a real browser: at a desk and on a phone, light and dark, of one run, of six and of sixty."""

from collections.abc import Callable
from pathlib import Path

import pytest
from browser import Page, browser
from synthetic_runs import make_run, record_workers

from byzshield.config import RunConfig
from byzshield.plots import group_runs, read_runs
from byzshield.plots.report import write_report
from byzshield.runtime.jobs import simulate

DESK, PHONE = 1280, 390
LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3, level AA, for text of every size
OPEN = "document.querySelectorAll('details').forEach(one => one.open = true)"
WIDTH = "document.documentElement.scrollWidth"  # a phone makes innerWidth as wide as what is on the page
# Each text that is seen, with its contrast to what it stands on.
FAINT = """(() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const over = (top, below) => { const a = top[3] ?? 1; return [0, 1, 2].map(i => top[i] * a + below[i] * (1 - a)); };
  const light = rgb => rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const background = element => {
    for (let at = element; at; at = at.parentElement) {
      const found = parse(getComputedStyle(at).backgroundColor);
      if (found.length && (found[3] ?? 1) > 0) return found;
    }
    return [255, 255, 255];
  };
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, style = getComputedStyle(element);
    if (!walker.currentNode.data.trim() || !element.getClientRects().length) continue;
    const below = background(element), drawn = element instanceof SVGElement;
    let color = parse(drawn ? style.fill : style.color), opacity = drawn ? Number(style.fillOpacity) : 1;
    for (let at = element; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    color = over([...color.slice(0, 3), (color[3] ?? 1) * opacity], below);
    const [high, low] = [light(color), light(below)].sort((a, b) => b - a), contrast = (high + 0.05) / (low + 0.05);
    if (contrast < LEAST) found.push(`${walker.currentNode.data.trim()}: ${contrast.toFixed(2)}`);
  }
  return found;
})()""".replace("LEAST", str(LEAST_CONTRAST))
CUT_OFF = """[...document.querySelectorAll('figure svg[role=img] text')].filter(text => {
  const inner = text.getBoundingClientRect(), outer = text.ownerSVGElement.getBoundingClientRect();
  return outer.width && (inner.left < outer.left - 1 || inner.right > outer.right + 1 || inner.top < outer.top - 1
    || inner.bottom > outer.bottom + 1);
}).map(text => text.textContent)"""
MUTE = """[...document.querySelectorAll('svg, img')].filter(one => one.getAttribute('aria-hidden') !== 'true'
  && !(one.getAttribute('role') === 'img' && (one.getAttribute('aria-label') || '').length > 20)).length"""
TWICE = (
    """(ids => ids.filter((id, place) => ids.indexOf(id) !== place))([...document.querySelectorAll('[id]')].map(one => one.id))"""
)
REGIONS = "[...document.querySelectorAll('.scroll')].map(one => one.getAttribute('aria-label'))"


@pytest.fixture
def pages(tmp_path: Path, tiny_run: Callable[..., RunConfig]) -> dict[int, Path]:
    """The page of one real run; of six in every state, of two lengths; and of five systems against four q with three seeds."""
    simulate(tiny_run(attack={"num_byzantine": 3}))
    statuses = ("complete", "complete", "failed", "stopped", None, "complete")
    for number, status in enumerate(statuses):
        path = tmp_path / "six" / f"run-{'abcdef'[number]}"
        steps, scheme = 20 if number < 4 else 400, ("mols", "frc", "baseline")[number % 3]
        make_run(
            path, status=status, reason="out of memory, " * 12 if status == "failed" else "", lines=20 - 3 * number,
            accuracy=0.9 if number < 2 else 0.3, run={"steps": steps}, placement={"scheme": scheme},
        )  # fmt: skip
        record_workers(path, scheme=scheme, num_byzantine=3)
    systems = {"MOLS": "mols", "groups": "frc", "none": "baseline", "cyclic": "cyclic", "a system with a longer name": "mols"}
    for place, (label, scheme) in enumerate(systems.items()):
        for q in (1, 3, 5, 7):
            for seed in (1, 2, 3):
                path = tmp_path / "sixty" / f"{label} {q} {seed}"
                make_run(
                    path, accuracy=0.9 - 0.1 * (place % 2) - 0.01 * seed, run={"seed": seed}, placement={"scheme": scheme},
                    attack={"num_byzantine": q}, aggregation={"rule": "median" if place < 4 else "krum"},
                )  # fmt: skip
                record_workers(path, scheme=scheme, num_byzantine=q)
    made = {1: tmp_path / "runs" / "tiny", 6: tmp_path / "six", 60: tmp_path / "sixty"}
    for count, folder in made.items():
        runs, problems = read_runs([folder])
        assert (len(runs), problems) == (count, [])
        write_report(group_runs(runs), tmp_path / f"{count}.html", "html")
    return {count: tmp_path / f"{count}.html" for count in made}


def test_the_page_is_sound_in_a_browser_at_every_width_in_light_and_dark_of_one_run_and_of_sixty(
    tmp_path: Path, pages: dict[int, Path]
) -> None:
    problems = []
    with browser(tmp_path / "profile") as opened:
        page = opened.page()
        for count, path in pages.items():
            for width in (DESK, PHONE):
                for dark in (False, True):
                    page.show(path, width=width, dark=dark, phone=width == PHONE)
                    problems += [(count, width, dark, problem) for problem in _problems(page, width)]
        assert problems == []
        page.show(pages[6], width=PHONE, phone=True)
        regions = page.run(REGIONS)
        reached, scrolled = _tab_through(page)
        folded = page.run(f"{REGIONS}.filter((_, place) => document.querySelectorAll('.scroll')[place].closest('details'))")
        assert set(regions) - set(folded) <= set(reached)
        assert scrolled > 0


def _problems(page: Page, width: int) -> list[str]:
    """What is wrong with a page that is shown."""
    found = [f"{wide} px wide, folded"] if (wide := page.run(WIDTH)) > width else []
    page.run(OPEN)
    found += [f"{wide} px wide"] if (wide := page.run(WIDTH)) > width else []
    found += [f"too faint: {text}" for text in page.run(FAINT)[:5]]
    found += [f"cut off: {text}" for text in page.run(CUT_OFF)[:5]]
    found += [f"{number} pictures without words" for number in [page.run(MUTE)] if number]
    found += [f"twice: {name}" for name in page.run(TWICE)[:5]]
    assert page.run("document.querySelectorAll('figure svg[role=img]').length") > 4
    asked = [event["request"]["url"] for event in page.told("Network.requestWillBeSent")]
    found += [
        f"asks for {url}" for url in asked if not url.startswith(("file:///", "data:")) or not url.endswith((".html", "data:,"))
    ]
    return found + [str(event) for event in page.told("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")]


def _tab_through(page: Page) -> tuple[list[str], float]:
    """What the tabulator key reaches, by its label, and how far an arrow then moves the first table."""
    reached: list[str] = []
    scrolled = 0.0
    for _ in range(200):
        page.press("Tab")
        label, where = page.run("[document.activeElement.getAttribute('aria-label') || '', document.activeElement.className]")
        if where == "scroll" and not scrolled:
            page.press("ArrowRight")
            wait = "new Promise(done => setTimeout(() => done(document.activeElement.scrollLeft), 400))"
            scrolled = page.run(wait)
        reached.append(label)
        if page.run("document.activeElement === document.body"):
            break
    return reached, scrolled
