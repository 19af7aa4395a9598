#!/usr/bin/env python3
"""report.html in a browser: pictures show, nothing is wrong in the console, names stay text, the page stays small.

Usage: report_browser_test.py GRAFT [--classes N]    (12; at night 3000)
SKIPPED (77) where there is no Chromium. Nothing is fetched: the pages lie in a temporary folder, and the browser has no network.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "examples/pretrained/cifar10_resnet20.th"
HOSTILE = ["<script>document.title = 'run'<", "<img src=x onerror=\"document.title='run'\">", "a\x1b[31m\nred&amp;", "\u202eevil"]
MOST_BYTES = 5 << 20


def find_browser():
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if found := shutil.which(name):
            return found
    print("SKIPPED: there is no Chromium")
    sys.exit(77)


# Looks at the page in a frame when all is loaded, and leaves what it saw in its own document.
WATCHER = """<!doctype html><meta charset="utf-8"><body><iframe src="{page}" width="1200" height="4000"></iframe><pre id="seen"></pre>
<script>
addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument;
  const images = [...page.images], shown = images.filter(i => i.complete && i.naturalWidth > 0 && i.getBoundingClientRect().width > 0);
  document.getElementById("seen").textContent = JSON.stringify({{
    title: page.title, images: images.length, shown: shown.length, scripts: page.scripts.length,
    foreign: images.filter(i => !i.src.startsWith("data:")).length, charts: page.querySelectorAll("svg").length,
    text: page.body.textContent.length}});
}});
</script>
"""


def look(browser, page, folder):
    """What the watcher saw of a page, and the lines of the console."""
    import html
    import json

    watcher = folder / "watcher.html"
    watcher.write_text(WATCHER.format(page=page.name), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
               "--host-resolver-rules=MAP * ~NOTFOUND", "--no-first-run", f"--user-data-dir={folder / 'profile'}", "--allow-file-access-from-files",
               "--enable-logging=stderr", "--v=0", "--virtual-time-budget=20000", "--dump-dom", watcher.as_uri()]
    environment = dict(os.environ, HOME=str(folder))
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=300, env=environment)
    seen = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.S)
    if not seen or not seen.group(1):
        sys.exit(f"the browser showed nothing (exit code {done.returncode}):\n{done.stderr[-2000:]}")
    return json.loads(html.unescape(seen.group(1))), [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


def write_photo(path, seed, side):
    value = (seed * 2654435761) & 0xFFFFFFFF
    pixels = bytearray()
    for y in range(side):
        for x in range(side):
            pixels += bytes(((value >> (8 * c)) + x * (3 + c) + y * 5) & 255 for c in range(3))
    path.write_bytes(b"P6 %d %d 255\n" % (side, side) + bytes(pixels))


def run(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        sys.exit(f"{command}: exit code {done.returncode}\n{done.stderr}")


def check(holds, sentence):
    if not holds:
        sys.exit("FAILED: " + sentence)


def check_page(browser, page, folder, least_images):
    size = page.stat().st_size
    seen, console = look(browser, page, folder)
    print(f"{page.name}: {size} bytes, {seen}")
    check(size <= MOST_BYTES, f"{page.name} has {size} bytes")
    check(not console, f"{page.name}: the console says {console[:3]}")
    check(seen["images"] >= least_images, f"{page.name} has {seen['images']} pictures, at least {least_images} were expected")
    check(seen["shown"] == seen["images"], f"{page.name}: {seen['shown']} of {seen['images']} pictures show")
    check(seen["scripts"] == 0 and seen["foreign"] == 0, f"{page.name} holds scripts or pictures from elsewhere")
    check("run" != seen["title"], f"{page.name}: a name was run as a script")
    return seen


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("graft")
    parser.add_argument("--classes", type=int, default=12)
    arguments = parser.parse_args()
    browser = find_browser()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # The watcher sees what it is to see: a picture that does not show, and an error in the console.
        (folder / "bad.html").write_text('<!doctype html><title>bad</title><img src="data:image/jpeg;base64,AAAA"><script>nothing()</script>')
        seen, console = look(browser, folder / "bad.html", folder)
        check(seen["images"] == 1 and seen["shown"] == 0 and seen["scripts"] == 1 and console, f"the check sees nothing: {seen} {console}")

        classes = HOSTILE + [f"class {i}" for i in range(arguments.classes - len(HOSTILE))]
        for c, label in enumerate(classes):
            (folder / "photos" / label).mkdir(parents=True)
            for i in range(3):
                write_photo(folder / "photos" / label / f"{label[:20] if i == 0 else 'photo'}{i}.ppm", 3 * c + i, 32 if arguments.classes < 100 else 12)
        train = [arguments.graft, "finetune", "--weights", WEIGHTS, "--data", folder / "photos", "--out", folder / "run", "--epochs", "2"]
        run(train)
        report = folder / "report.html"
        shutil.copy(folder / "run/report.html", report)
        seen = check_page(browser, report, folder, 10)
        check(seen["charts"] == 2, "the curves are not there")
        text = report.read_text(encoding="utf-8")
        check("&lt;script&gt;document.title" in text and "\x1b" not in text, "names are not shown as text")
        run([arguments.graft, "evaluate", folder / "run/model.safetensors", "--data", folder / "photos", "--report", folder / "evaluation.html"])
        check_page(browser, folder / "evaluation.html", folder, 4)


main()
