"""Writes unicode_kinds.h (what code points are, their small letters) and unicode_forms.h (their canonical parts).

Run in this folder: python3 make_unicode.py
"""
import subprocess
import unicodedata

LAST = 0x110000
MARK = f"Written by make_unicode.py\n// from Unicode {unicodedata.unidata_version}.\n"


NUMBERS = {"space": 1, "control": 2, "mark": 3, "punctuation": 4, "symbol": 5}


def packed(items):
    lines = [""]
    for item in items:
        if len(lines[-1]) + len(item) > 100:
            lines.append("")
        lines[-1] += item
    return "\n".join(lines) + "\n"


def kind(code):
    category = unicodedata.category(chr(code))
    if chr(code) in "\t\n\r" or category in ("Zs", "Zl", "Zp") or code in (0x0b, 0x0c, 0x85):
        return "space"
    if category in ("Cc", "Cf", "Co", "Cs"):
        return "control"
    return {"Mn": "mark"}.get(category, {"P": "punctuation", "S": "symbol"}.get(category[0], ""))


def runs(value):
    first = 0
    for code in range(1, LAST + 1):
        if code == LAST or value(code) != value(first):
            if value(first):
                yield first, code - 1, value(first)
            first = code


kinds = [kind(code) for code in range(LAST)]
lower = {}
for code in range(LAST):
    small = chr(code).lower()
    if len(small) == 1 and ord(small) != code:
        lower[code] = ord(small)
rows = []  # first, last, step, difference
for code in sorted(lower):
    shift = lower[code] - code
    if rows and rows[-1][3] == shift:
        first, last, step, _ = rows[-1]
        if code - last in (1, 2) and (first == last or code - last == step):
            rows[-1] = (first, code, code - last, shift)
            continue
    rows.append((code, code, 1, shift))

parts = {}
for code in range(LAST):
    if 0xac00 <= code < 0xac00 + 11172:
        continue  # Hangul: by rule
    text = unicodedata.decomposition(chr(code))
    if text and not text.startswith("<"):
        pair = [int(p, 16) for p in text.split()] + [0]
        parts[code] = (pair[0], pair[1])
with open("unicode_kinds.h", "w") as file:
    file.write(f"// What Unicode's code points are, and their small letters, for unicode.h. {MARK}"
               "#pragma once\n#include <cstdint>\n\nnamespace graft::io {\n\n"
               "struct KindRange {\n  uint32_t first, last;\n  uint8_t kind;  // a CodeKind\n};\n\n"
               "// In order; what is not listed is a letter or a digit.\n// clang-format off\n"
               "inline constexpr KindRange kKindRanges[] = {\n")
    file.write(packed(f"{{0x{a:x},0x{b:x},{NUMBERS[k]}}}," for a, b, k in runs(lambda c: kinds[c])))
    file.write("};\n// clang-format on\n\n"
               "// Every `step`-th code point from first to last, and how far its small letter is.\n"
               "struct LowerRange {\n  uint32_t first, last, step;\n  int32_t difference;\n};\n"
               "// clang-format off\ninline constexpr LowerRange kLowerRanges[] = {\n")
    file.write(packed("{0x%x,0x%x,%d,%d}," % row for row in rows))
    file.write("};\n// clang-format on\n\n}  // namespace graft::io\n")

with open("unicode_forms.h", "w") as file:
    file.write(f"// Canonical parts of code points, for unicode.h. {MARK}"
               "#pragma once\n#include <cstdint>\n\nnamespace graft::io {\n\n"
               "// second 0: one part alone. Hangul's syllables go by rule.\n"
               "struct CanonicalParts {\n  uint32_t code, first, second;\n};\n"
               "// clang-format off\ninline constexpr CanonicalParts kCanonicalParts[] = {\n")
    file.write(packed("{0x%x,0x%x,0x%x}," % (c, a, b) for c, (a, b) in sorted(parts.items())))
    file.write("};\n// clang-format on\n\n}  // namespace graft::io\n")
subprocess.run(["clang-format-14", "-i", "unicode_kinds.h", "unicode_forms.h"], check=True)
