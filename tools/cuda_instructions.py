#!/usr/bin/env python3
"""What CUDA kernels cost in instructions: of each kernel of an object file or program its registers, its instructions, and
those of its loops. A memory-bound kernel keeps pace with the memory only while it has few of them for each byte: an SM of an
H100 starts 128 a clock (one for each of 128 threads), which at 1.75 GHz and 132 SMs is 8.8 for a byte of 3.35 TB/s.

Usage: tools/cuda_instructions.py FILE [NAME]      NAME: only kernels whose name has it
Needs cuobjdump, of the CUDA toolkit or of PyPI's nvidia-cuda-cuobjdump, and c++filt.
"""
import re
import subprocess
import sys

LONG = 4  # instructions: what is shorter is a wait, not a loop


def output(command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def registers(file):
    usage = output(["cuobjdump", "-res-usage", file])
    return dict(re.findall(r"Function (\S+?):\s+REG:(\d+)", usage))


def loops(instructions):
    """Lengths of what lies between a branch and the place before it where it goes to."""
    found = []
    for at, text in instructions:
        to = re.search(r"\bBRA\b.*?0x([0-9a-f]+)", text)
        length = (int(at, 16) - int(to[1], 16)) // 16 + 1 if to else 0
        if length > LONG:
            found.append(length)
    return found


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    wanted, used = sys.argv[2] if len(sys.argv) == 3 else "", registers(sys.argv[1])
    parts = re.split(r"\n\s+Function : ", output(["cuobjdump", "-sass", sys.argv[1]]))[1:]
    names = [part.split("\n", 1)[0].strip() for part in parts]
    for part, name, plain in zip(parts, names, output(["c++filt"], "\n".join(names)).splitlines()):
        plain = re.sub(r"^void graft::cuda::device_entry<|graft::(cuda::)?|\(anonymous namespace\)::| >\(.*$|>\(.*$", "", plain)
        if wanted in plain:
            instructions = re.findall(r"/\*([0-9a-f]{4,})\*/\s+(.*?);", part)
            print(f"{plain}: {used.get(name, '?')} registers, {len(instructions)} instructions, loops of {loops(instructions) or 'none'}")


main()
