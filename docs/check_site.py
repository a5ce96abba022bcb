"""Looks at the built site in a headless browser, as a reader with a desktop or a phone would.

    python -P docs/check_site.py docs/_build/html
        needs playwright from the extra `docs`, and chromium

Every page: no link within the site that leads nowhere, no script error, nothing wider than the
screen at 1280 and at 390 pixels, in the light and the dark scheme.  The search finds he_normal.
"""

from __future__ import annotations

import pathlib
import shutil
import sys
from urllib.parse import unquote, urldefrag, urljoin

from playwright.sync_api import Page, sync_playwright

SCREENS = ((1280, 900, "light"), (390, 844, "dark"))


def problems(page: Page, path: pathlib.Path, scheme: str) -> list[str]:
    """What is wrong with a page on this screen."""
    found = []
    page.goto(path.as_uri())
    wide, screen = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    if wide > screen:
        found.append(f"{wide} pixels wide on a screen of {screen}")
    if page.evaluate("document.documentElement.dataset.theme") != scheme:
        found.append(f"not in the {scheme} scheme")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(int(part) for part in ground[4:-1].split(",")[:3]) > 384
    if light != (scheme == "light"):
        found.append(f"its ground is {ground} in the {scheme} scheme")
    return found


def dead_links(page: Page, path: pathlib.Path) -> list[str]:
    """Links and images of the page that lead to no file of the site."""
    targets = page.evaluate(
        "[...document.querySelectorAll('a[href], img[src]')]"
        ".map(e => e.getAttribute('href') ?? e.getAttribute('src'))"
    )
    files = {urldefrag(urljoin(path.as_uri(), target)).url for target in targets}
    return [
        f"leads to {file}, which is not there"
        for file in sorted(files)
        if file.startswith("file:") and not pathlib.Path(unquote(file[7:])).exists()
    ]


def main() -> int:
    root = pathlib.Path(sys.argv[1]).resolve()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    pages = sorted(root.rglob("*.html"))
    found: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width, height, scheme in SCREENS:
            size = {"width": width, "height": height}
            page = browser.new_context(viewport=size, color_scheme=scheme).new_page()
            page.on("pageerror", lambda error: found.append(f"script error: {error}"))
            for path in pages:
                wrong = problems(page, path, scheme)
                if scheme == "light":
                    wrong += dead_links(page, path)
                found += [f"{path.relative_to(root)}: {text}" for text in wrong]
        page.goto((root / "search.html").as_uri() + "?q=he_normal")
        page.wait_for_selector("#search-results li a", timeout=30_000)
        if "he_normal" not in page.inner_text("#search-results"):
            found.append("the search for he_normal does not show it")
        browser.close()
    print("\n".join(found) or f"{len(pages)} pages on {len(SCREENS)} screens: nothing wrong")
    return 1 if found or len(pages) < 40 else 0


if __name__ == "__main__":
    sys.exit(main())
