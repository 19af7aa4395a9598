"""A Markdown table from the JSON lines of bench.py: one row a figure, the newest line of each name.

    python3 table.py results.jsonl [MORE.jsonl ...]
"""
import json
import sys

rows = {}
for name in sys.argv[1:]:
    with open(name) as lines:
        for line in lines:
            row = json.loads(line)
            if "speed_vs_first" in row:
                rows[row["figure"]] = row
groups = {}
for figure, row in rows.items():
    group, worker = figure.rsplit("/", 1)
    groups.setdefault(group, []).append((worker, row))
print("| work | worker | a second | ms a step, median [min-max] | ratio to the first | peak MiB | waited |")
print("|---|---|--:|--:|--:|--:|--:|")
for group, workers in groups.items():
    for worker, r in workers:
        print(f"| {group} | {worker} | {r['img_s']:.2f} | {r['ms']:.1f} [{r['ms_min']:.1f}-{r['ms_max']:.1f}] | {r['speed_vs_first']:.2f} "
              f"| {r['peak_rss_mib']:.0f} | {100 * r['foreign_max']:.0f} % |")
