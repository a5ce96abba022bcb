"""Looks at the built site in a headless browser, as a reader with a desktop or a phone would.

    python -P docs/check_site.py docs/_build/html
        needs playwright from the extra `docs`, and chromium

Every page: no link within the site that leads nowhere, no script error, nothing wider than the
screen at 1280 and at 390 pixels, in the light and the dark scheme.  The search finds he_normal.
"""

from __future__ import annotations

import pathlib
import re
import shutil
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urldefrag, urljoin

from playwright.sync_api import Page, sync_playwright

SCREENS = ((1280, 900, "light"), (390, 844, "dark"))


class Quiet(SimpleHTTPRequestHandler):
    """Serves the site, since a browser refuses a script's requests from files."""

    def log_message(self, *_: object) -> None:
        pass


def problems(page: Page, scheme: str) -> list[str]:
    """What is wrong with the page on this screen."""
    found = []
    wide, screen = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    if wide > screen:
        found.append(f"{wide} pixels wide on a screen of {screen}")
    if page.evaluate("document.documentElement.dataset.theme") != scheme:
        found.append(f"not in the {scheme} scheme")
    text = page.evaluate("getComputedStyle(document.querySelector('.bd-article, body')).color")
    dark = sum(map(int, re.findall(r"\d+", text)[:3])) < 384
    if dark != (scheme == "light"):
        found.append(f"its text is {text} in the {scheme} scheme")
    return found


def dead_links(page: Page, root: pathlib.Path, address: str) -> list[str]:
    """Links and images of the page that lead to no file of the site."""
    targets = page.evaluate(
        "[...document.querySelectorAll('a[href], img[src]')]"
        ".map(e => e.getAttribute('href') ?? e.getAttribute('src'))"
    )
    targets = {urldefrag(urljoin(page.url, target)).url for target in targets}
    return [
        f"leads to {target}, which is not there"
        for target in sorted(targets)
        if target.startswith(address) and not (root / unquote(target[len(address) :])).exists()
    ]


def report(page: Page, found: list[str], error: object) -> None:
    """Note an error that a script of the page raised."""
    found.append(f"{page.url}: {error}")


def main() -> int:
    root = pathlib.Path(sys.argv[1]).resolve()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    pages = [path for path in sorted(root.rglob("*.html")) if "_static" not in path.parts]
    found: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width, height, scheme in SCREENS:
            size = {"width": width, "height": height}
            page = browser.new_context(viewport=size, color_scheme=scheme).new_page()
            page.on("pageerror", partial(report, page, found))
            for path in pages:
                page.goto(address + path.relative_to(root).as_posix())
                wrong = problems(page, scheme)
                if scheme == "light":
                    wrong += dead_links(page, root, address)
                found += [f"{path.relative_to(root)}: {text}" for text in wrong]
        page.goto(f"{address}search.html?q=he_normal")
        page.wait_for_selector("#search-results li a", timeout=30_000)
        if "he_normal" not in page.inner_text("#search-results"):
            found.append("the search for he_normal does not show it")
        browser.close()
    print("\n".join(found) or f"{len(pages)} pages on {len(SCREENS)} screens: nothing wrong")
    return 1 if found or len(pages) < 40 else 0


if __name__ == "__main__":
    sys.exit(main())
