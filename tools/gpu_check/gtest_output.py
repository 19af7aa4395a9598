"""Reads what a GoogleTest program prints, line by line as it comes: so what it said before it died or hung is not lost."""
import re

RAN = re.compile(r"\[ +RUN +\] (\S+)\s*$")
ENDED = re.compile(r"\[ +(OK|FAILED|SKIPPED) +\] ([^\s,]+).*\(\d+ ms\)\s*$")
PROPERTY = re.compile(r"\[ PROPERTY \] (\S+) (\S+) (.*)$")
MOST_LINES = 400  # kept of one test


class GtestOutput:
    def __init__(self):
        self.results = {}  # name: "passed", "failed", "skipped"
        self.texts = {}  # name: what it printed
        self.properties = {}  # name: {key: value}
        self.running = None
        self.other = []

    def line(self, text):
        if found := RAN.search(text):
            self.running = found[1]
            self.texts[self.running] = []
        elif found := PROPERTY.search(text):
            self.properties.setdefault(found[1], {})[found[2]] = found[3]
        elif (found := ENDED.search(text)) and found[2] in self.texts:
            self.results[found[2]] = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}[found[1]]
            self.running = None
        else:
            kept = self.texts[self.running] if self.running else self.other
            if len(kept) < MOST_LINES:
                kept.append(text)

    def failure(self, name, most=300):
        """What a test said, shortly."""
        lines = [line.strip() for line in self.texts.get(name, []) if line.strip()]
        start = next((i for i, line in enumerate(lines) if "Failure" in line), 0)
        return " | ".join(lines[start:])[:most]


def list_of(text):
    """{suite: [tests]} of --gtest_list_tests."""
    suites, suite = {}, None
    for line in text.splitlines():
        line = line.split("#")[0].rstrip()
        if re.fullmatch(r"[A-Za-z]\S*\.", line):
            suite = line
            suites[suite] = []
        elif suite and line.startswith("  "):
            suites[suite].append(line.strip())
    return {suite: tests for suite, tests in suites.items() if tests}
