"""Opens pages in the distribution's Chromium and uses them. The one argument is the directory of the pages."""

import sys
import time
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

PAGES = Path(sys.argv[1]).resolve()
SERIOUS = ("serious", "critical")


class Watch:
    """What a page did that it should not have."""

    def __init__(self, page):
        self.wrong = []
        page.on("console", lambda message: message.type == "error" and self.wrong.append(message.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", lambda dialog: self.wrong.append("a dialog: " + dialog.message))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or self.wrong.append(request.url))

    def check(self):
        assert not self.wrong, self.wrong


def opened(browser, name, **context):
    page = browser.new_context(**context).new_page()
    watch = Watch(page)
    page.goto((PAGES / name).as_uri())
    return page, watch


def shown(page):
    return page.locator("#items ul.items>li:visible").count()


def counts(page, number, why):
    page.wait_for_function("n => document.getElementById('count').textContent.startsWith(n + ' ')", arg=number)
    assert shown(page) == number, (why, shown(page), number)


def accessible(page, what):
    page.evaluate("document.querySelectorAll('details').forEach(node => node.open = true)")
    results = Axe().run(page)
    bad = [v for v in results.response["violations"] if v["impact"] in SERIOUS]
    told = [(v["id"], [n["html"][:200] + " " + n["failureSummary"] for n in v["nodes"][:3]]) for v in bad]
    assert not bad, (what, told)
    assert len(results.response["passes"]) > 15, what


def filters_and_keyboard(page, watch):
    assert page.locator("h1").inner_text().lower() == "gate all fail", page.locator("h1").inner_text()
    counts(page, 5, "at first")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("DATABASE accepts")
    counts(page, 1, "a search")
    page.keyboard.press("Escape")
    counts(page, 5, "a search that is cleared")
    page.click("[data-f=pass]")
    counts(page, 4, "without those that pass")
    page.click("[data-f=pass]")
    page.click("#differs")
    counts(page, page.locator("#items li[data-d]").count(), "claimed and not derived")
    assert 0 < shown(page) < 5
    page.click("#differs")
    page.select_option("#sec", "F1 Frontend")
    counts(page, 2, "one section")
    page.select_option("#sec", "")
    page.fill("#q", "nothing is like this")
    counts(page, 0, "nothing")
    assert page.locator("#none").is_visible()
    page.fill("#q", "")
    counts(page, 5, "everything")
    page.evaluate("document.activeElement.blur()")
    focused = "document.activeElement.closest('li')?.id"
    for key, wanted in (("j", "i-F1.1"), ("j", "i-F1.2"), ("k", "i-F1.1"), ("k", "i-F1.1")):
        page.keyboard.press(key)
        assert page.evaluate(focused) == wanted, (key, wanted, page.evaluate(focused))
    page.keyboard.press("Enter")
    assert page.locator("#i-F1\\.1 details").get_attribute("open") is not None
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()
    page.click(".block a >> nth=0")
    assert page.evaluate("document.querySelector(location.hash.replace(/[.]/g, '\\\\.') + ' details').open")
    page.click("#i-D1\\.1 a")
    assert page.locator("#p-database pre").is_visible() or page.locator("#p-database details[open]").count() == 1
    page.click("#theme")
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    watch.check()


def main():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page, watch = opened(browser, "en.html")
        filters_and_keyboard(page, watch)
        for name in ("en.html", "zh.html"):
            for scheme in ("light", "dark"):
                page, watch = opened(browser, name, color_scheme=scheme)
                accessible(page, (name, scheme))
                watch.check()
        page, watch = opened(browser, "hostile.html")
        accessible(page, "hostile")
        watch.check()
        page, watch = opened(browser, "en.html", viewport={"width": 360, "height": 740}, color_scheme="light")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, "it is wider than a phone"
        page.screenshot(path=PAGES / "phone.png")
        accessible(page, "phone")
        watch.check()
        page, watch = opened(browser, "en.html", java_script_enabled=False)
        text = page.locator("main").inner_text()
        for wanted in ("D1.1", "The database accepts connections", "refused"):
            assert wanted in text, wanted
        assert not page.locator("#bar").is_visible()
        page, watch = opened(browser, "zh.html")
        assert page.locator("html").get_attribute("lang") == "zh-CN"
        assert "数据库可连接" in page.locator("main").inner_text()
        page.screenshot(path=PAGES / "zh.png")
        page, watch = opened(browser, "large.html")
        counts(page, 1000, "many")
        timing = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
        begun = time.monotonic()
        page.fill("#q", "I777")
        counts(page, 1, "one of many")
        took = time.monotonic() - begun
        print(f"1,000 items: interactive after {timing['domInteractive']:.0f} ms, loaded after {timing['loadEventEnd']:.0f} ms, found after {took:.2f} s")
        assert timing["loadEventEnd"] < 5000 and took < 5, "it is slow, even for a busy machine"
        watch.check()
        page, watch = opened(browser, "en.html", viewport={"width": 1000, "height": 1350}, color_scheme="light")
        page.evaluate("document.querySelector('#i-D1\\\\.1 details').open = true")
        page.screenshot(path=PAGES / "page.png")
        page, watch = opened(browser, "en.html", viewport={"width": 1100, "height": 900}, color_scheme="dark")
        page.screenshot(path=PAGES / "dark.png")
        browser.close()
    print("all as it should be")


main()
