"""Writes image folders with train/ and val/ of five small data sets, for advice_check.py.

python make_sets.py APPS OUT: APPS holds data6.py, which reads the sets (hymenoptera, five flowers, MNIST, Fashion-MNIST,
spectrograms of spoken digits). Needs numpy, pillow.
"""
import os
import sys

sys.path.insert(0, sys.argv[1])
import data6

for name, (images, labels, is_train, side) in data6.all_sets().items():
    for i, (image, label, train) in enumerate(zip(images, labels, is_train)):
        folder = os.path.join(sys.argv[2], name, "train" if train else "val", f"class{int(label):02d}")
        os.makedirs(folder, exist_ok=True)
        if image.size[0] > 2 * side:
            image = image.resize((2 * side, 2 * side))
        image.save(os.path.join(folder, f"{i:05d}.png"))
    print(name, sum(is_train), "training images,", len(labels) - sum(is_train), "others", flush=True)
