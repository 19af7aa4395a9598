"""Writes tests/data/texts/words.json: strings of ASCII and what Kim's rules make of them (io/texts/words.h), seeded.

Run in this folder: python3 texts.py
"""
import json
import random
import re


def kim(s):
    s = re.sub(r"[^A-Za-z0-9(),!?\'`.]", " ", s.lower())
    s = re.sub(r"(\'s|\'ve|n\'t|\'re|\'d|\'ll)", r" \1", s)
    s = re.sub(r"([(),!?.])", r" \1 ", s)
    return s.split()


random.seed(17)
pieces = ["it's", "don't", "We've", "they're", "I'd", "you'll", "can't've", "'tis", "n't", "rock'n'roll", "...", "(so)", "what?!",
          "3.5", "1,000", "a-b", "e_mail", "x@y.org", "$5", "100%", "`quoted`", "\"said\"", "U.S.", "--", "co:op", "['d]", "O'Neill's",
          "good", "Film", "THE", "plot", ";", "'", "''s", "\t", "*", "/", "don''t", "''"]
texts = ["".join(random.choice(pieces) + random.choice(["", " ", " ", "  "]) for _ in range(random.randint(1, 9))) for _ in range(260)]
texts += ["".join(chr(random.randint(32, 126)) for _ in range(random.randint(1, 40))) for _ in range(140)]
with open("../data/texts/words.json", "w") as file:
    file.write("[" + ",\n".join(json.dumps([text, kim(text)]) for text in texts) + "]\n")
