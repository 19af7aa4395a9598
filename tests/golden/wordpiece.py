"""Writes tests/data/texts/vocab.txt and wordpiece.json: strings and the tokens that Hugging Face's BERT tokeniser makes of them.

Needs tokenizers (PyPI). Run in this folder: python3 wordpiece.py
"""
import json
import random

from tokenizers import BertWordPieceTokenizer

random.seed(17)
words = ("the a of and to in is it film movie good bad not don t s re ve ll plot act actor story love un believ able play play ing ed er est "
         "ly tion token iz cafe naive uber resume tok yo ing 2 20 2026 3 5 1 000 hello world fun ny run ning watch").split()
pieces = sorted(set(words)) + sorted({"##" + w for w in words})
alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
marks = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["。", "，", "！", "…", "—", "’", "“", "”", "€", "£"]
other = list("éèüñøßœæðþłαβγδωабвгджзийклмнопрстуфхцчшыьэюяאבגדعربيहिन") + ["한", "국", "ᄒ", "ᅡ", "ᆫ", "あ", "い", "カ", "ー"]
han = list("中文的电影好看我不是很喜欢这部") + ["𠀀", "㐀"]
emoji = ["😀", "❤", "👍", "🏽"]
vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
for token in marks + list(alphabet) + ["##" + c for c in alphabet] + other + ["##" + c for c in other] + han + emoji + pieces:
    if token not in vocab:
        vocab.append(token)
with open("../data/texts/vocab.txt", "w", encoding="utf-8") as file:
    file.write("\n".join(vocab) + "\n")

tokeniser = {lower: BertWordPieceTokenizer("../data/texts/vocab.txt", lowercase=lower) for lower in (True, False)}
hard = ["", " ", "\t\n\r", "Café naïve RÉSUMÉ Über", "e\u0301 o\u0308 \u0301", "ÅÇÊñ", "İstanbul ISTANBUL ı", "ﬁ ﬂ Ǆ ǅ", "中文的电影", "我love电影good",
        "𠀀㐀𪚥", "豈更車", "한국 ᄒ", "あいカー", "😀❤️👍🏽", "👩‍👩‍👧", "a\u0000b", "a\ufffdb", "a\u200bb", "a\u00adb", "a\u200db", "x\u0007y\u001bz", "a\u0085b",
        "a\u000bb\u000cc", "a\u2028b\u2029c", "a\u00a0b\u3000c\u2003d", "a" * 100, "a" * 101, "a" * 300, "é" * 100, "é" * 101, "unbelievable tokenization",
        "[CLS] not special [MASK] [SEP]", "don't, can't... \"he said\"", "«quoted» ‘x’ “y” — z…", "100%€5£", "x_y^z`w|~$+<=>", "שלום العربية हिन्दी",
        "ΑΒΓ ΣΊΣΥΦΟΣ ς", "ПРИВЕТ мир Ёлка й", "ß ẞ", "ǰ ΐ", "\ue000 private", "\u0378 unassigned", "①②Ⅷ½", "a\u0327\u0301", "\ufeffbom", "tel:+1-555"]
parts = words + ["Café", "NAÏVE", "élan", "über", "don't", "中文", "电影好", "😀", "❤", "привет", "ΣΑΣ", "한국", "あい", "x" * 30, "3.5", "1,000", "...", "!?", "—",
                 "’s", "\u0301", "\u200b", "\u00a0", "\t", "\u0007", "[MASK]", "ﬁ", "Å", "é", "$5", "a_b", "@user", "#tag", "http://a.b/c?d=1"]
texts = hard + ["".join(random.choice(parts) + random.choice(["", " ", " ", "  "]) for _ in range(random.randint(1, 10))) for _ in range(340)]
pools = [(32, 0x24f), (0x370, 0x52f), (0x590, 0x97f), (0x1e00, 0x206f), (0x20a0, 0x2bff), (0x3000, 0x30ff), (0x4e00, 0x9fff), (0xac00, 0xd7a3), (0xf900, 0xfaff)]
while len(texts) < 560:
    low, high = random.choice(pools)
    texts.append("".join(chr(random.randint(low, high)) for _ in range(random.randint(1, 12))))
rows = [[text, [tokeniser[lower].encode(text, add_special_tokens=False).ids for lower in (True, False)]] for text in texts]
with open("../data/texts/wordpiece.json", "w", encoding="utf-8") as file:
    file.write("[" + ",\n".join(json.dumps(row) for row in rows) + "]\n")
