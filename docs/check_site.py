"""Check the built site in a headless browser at the sizes of a desktop and a phone.

    python -P docs/check_site.py docs/_build/html
        needs playwright from the extra `docs`, and chromium

Each page is loaded at 1280 and at 390 pixels, in the light and in the dark scheme.  Nothing may be
wider than the screen, the text colour must fit the scheme, and the console must show no error.
Every link within the site must lead to an existing page and heading.  A word typed into the search
must find its page.
"""

from __future__ import annotations

import asyncio
import pathlib
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urldefrag

from playwright.async_api import Browser, Page, Request, async_playwright

SCREENS = ((1280, 900), (390, 844))
SCHEMES = ("light", "dark")
TABS = 2

# A page's anchors and the targets of its links and images.
READ = """() => [
    [...document.querySelectorAll("[id]")].map(e => e.id),
    [...document.querySelectorAll("a[href], img[src]")].map(e => e.href ?? e.src),
]"""
# A page's width, the screen's width, the theme and the text colour.  The theme follows the scheme
# with a short delay, so wait for it first.
LOOK = """async scheme => {
    const root = document.documentElement;
    for (let tries = 0; tries < 200 && root.dataset.theme !== scheme; tries++)
        await new Promise(done => setTimeout(done, 10));
    const text = document.querySelector(".bd-article") ?? document.body;
    return [root.scrollWidth, innerWidth, root.dataset.theme, getComputedStyle(text).color];
}"""


class Quiet(SimpleHTTPRequestHandler):
    """Serve the site over HTTP: browsers refuse requests by scripts on file:// pages."""

    def log_message(self, *_: object) -> None:
        pass


class Site:
    """The pages, the problems found, and the anchors and links of every page."""

    def __init__(self, root: pathlib.Path, address: str):
        self.root, self.address = root, address
        self.pages = [
            path.relative_to(root).as_posix()
            for path in sorted(root.rglob("*.html"))
            if "_static" not in path.parts
        ]
        self.found: list[str] = []
        self.anchors: dict[str, set[str]] = {}
        self.links: dict[str, set[str]] = {}

    async def look(self, page: Page, left: Iterator[str]) -> None:
        """Check pages until none is left."""
        for name in left:
            await page.goto(self.address + name)
            anchors, links = await page.evaluate(READ)
            self.anchors[name], self.links[name] = set(anchors), set(links)
            for width, height in SCREENS:
                await page.set_viewport_size({"width": width, "height": height})
                for scheme in SCHEMES:
                    await page.emulate_media(color_scheme=scheme)
                    wrong = problems(*await page.evaluate(LOOK, scheme), scheme)
                    self.found += [f"{name} ({width}, {scheme}): {text}" for text in wrong]

    def dead_links(self) -> list[str]:
        """Links within the site whose file or anchor does not exist."""
        dead = []
        for name, links in self.links.items():
            for link in sorted(links):
                target, fragment = urldefrag(link)
                if not target.startswith(self.address):
                    continue
                path = unquote(target[len(self.address) :]) or "index.html"
                place = unquote(fragment)
                if not (self.root / path).exists():
                    dead.append(f"{name} leads to {path}, which is not there")
                elif place and place not in self.anchors.get(path, {place}):
                    dead.append(f"{name} leads to {path}#{place}, and {path} has no such place")
        return dead


def problems(wide: int, screen: int, theme: str, color: str, scheme: str) -> list[str]:
    """Problems with the appearance of a page."""
    found = []
    if wide > screen:
        found.append(f"{wide} pixels wide")
    dark = sum(map(int, re.findall(r"\d+", color)[:3])) < 384
    if theme != scheme or dark != (scheme == "light"):
        found.append(f"the theme is {theme} and its text {color}")
    return found


async def search(page: Page, address: str, word: str) -> list[str]:
    """Type a word into the search field, as a reader does."""
    await page.set_viewport_size({"width": 1280, "height": 900})
    await page.goto(address)
    await page.keyboard.press("Control+k")
    await page.keyboard.type(word)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#search-results li a", timeout=60_000)
    shown = await page.inner_text("#search-results")
    return [] if word in shown else [f"the search for {word} does not show it"]


async def tab(browser: Browser, site: Site) -> Page:
    """A browser page that records its errors in `site`."""
    page = await (await browser.new_context()).new_page()

    def note(text: object) -> None:
        site.found.append(f"{page.url}: {text}")

    def failed(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # aborted by leaving the page
            note(f"{request.url} failed: {request.failure}")

    page.on("pageerror", note)
    page.on("requestfailed", failed)
    page.on("console", lambda line: line.type == "error" and note(line.text))
    return page


async def look(site: Site) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tabs = [await tab(browser, site) for _ in range(TABS)]
        left = iter(site.pages)
        await asyncio.gather(*(site.look(page, left) for page in tabs))
        site.found += await search(tabs[0], site.address, "he_normal")
        await browser.close()


def main() -> int:
    root = pathlib.Path(sys.argv[1]).resolve()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    site = Site(root, f"http://127.0.0.1:{server.server_port}/")
    asyncio.run(look(site))
    found = [*site.found, *site.dead_links()]
    views = f"{len(SCREENS)} screens in {len(SCHEMES)} schemes"
    print("\n".join(found) or f"{len(site.pages)} pages on {views}: nothing wrong")
    return 1 if found or len(site.pages) < 40 else 0


if __name__ == "__main__":
    sys.exit(main())
