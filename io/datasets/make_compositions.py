"""Writes compositions.h: Unicode's canonical compositions of a letter and a mark, without those excluded from NFC.

Run in this folder: python3 make_compositions.py
"""
import subprocess
import unicodedata

rows = []
for code in range(0x110000):
    parts = unicodedata.decomposition(chr(code))
    if parts and not parts.startswith("<"):
        pair = [int(p, 16) for p in parts.split()]
        if len(pair) == 2 and unicodedata.normalize("NFC", "".join(map(chr, pair))) == chr(code):
            rows.append((pair[0], pair[1], code))
rows.sort()
with open("compositions.h", "w") as file:
    file.write("// Unicode's letters with a mark, for composed() (class_names.h). Written by make_compositions.py from Unicode "
               f"{unicodedata.unidata_version}.\n"
               "#pragma once\n#include <cstdint>\n\nnamespace graft::io {\n\n"
               "struct Composition {\n  uint32_t letter, mark, composed;\n};\n\n"
               "// Sorted by letter, then mark.\ninline constexpr Composition kCompositions[] = {\n")
    file.write("".join("{0x%x,0x%x,0x%x}," % row for row in rows))
    file.write("};\n\n}  // namespace graft::io\n")
subprocess.run(["clang-format-14", "-i", "compositions.h"], check=True)
