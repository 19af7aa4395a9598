"""Small sound data sets and files for mutations.py to damage, beside those of the fuzzers: boxes, masks, shards, texts in model files."""
import json
import os
import shutil
import struct

from workload import WEIGHTS, write_png


def write_text(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def photos_in(folder, *parts):
    """Four 8 x 8 photos 0.png ... in each of these folders of it."""
    for part in parts:
        os.makedirs(f"{folder}/{part}")
        for i in range(4):
            write_png(f"{folder}/{part}/{i}.png")


def npy(*shape):
    """NumPy's format 1.0: float32 numbers."""
    text = str({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    count = 1
    for extent in shape:
        count *= extent
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + struct.pack(f"<{count}f", *(i / 8 for i in range(count)))


def write_voc(folder):
    photos_in(folder, "JPEGImages")
    for i in range(4):
        objects = "".join(f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{1 + i % 2}</xmin><ymin>1</ymin><xmax>5</xmax><ymax>6</ymax>"
                          "</bndbox></object>" for name in ("cat", "dog")[:1 + i % 2])
        write_text(f"{folder}/Annotations/{i}.xml", f"<annotation><filename>{i}.png</filename><size><width>8</width><height>8</height><depth>3</depth>"
                   f"</size>{objects}</annotation>")
    for part, names in (("train", (0, 1, 2)), ("val", (3,))):
        write_text(f"{folder}/ImageSets/Main/{part}.txt", "".join(f"{i}\n" for i in names))


def write_yolo(folder):
    photos_in(folder, "images/train", "images/val")
    for part in ("train", "val"):
        for i in range(4):
            write_text(f"{folder}/labels/{part}/{i}.txt", f"{i % 2} 0.5 0.5 0.25 0.4\n0 0.1 0.1 0.8 0.1 0.8 0.9\n")
    write_text(f"{folder}/data.yaml", "train: images/train\nval: images/val\nnc: 2\nnames: ['cat', 'dog']\n")


def write_coco(folder):
    photos_in(folder, "images")
    images = [{"id": i, "file_name": f"{i}.png", "width": 8, "height": 8} for i in range(4)]
    boxes = [{"id": i, "image_id": i, "category_id": 1 + i % 2, "bbox": [1, 1.5, 4, 3], "area": 12, "iscrowd": i // 3,
              "segmentation": [[1, 1, 5, 1, 5, 4]]} for i in range(4)]
    names = [{"id": 1, "name": "cat", "supercategory": "animal"}, {"id": 2, "name": "dog"}]
    write_text(f"{folder}/boxes.json", json.dumps({"info": {}, "images": images, "annotations": boxes, "categories": names}))


BOX_TABLE = "image,class,xmin,ymin,xmax,ymax,split\n" + "".join(
    f"images/{i}.png,{('cat', 'dog')[i % 2]},1,1.5,{4 + i},7,{'val' if i == 3 else 'train'}\n" for i in range(4))


def write_masks(folder):
    photos_in(folder, "images")
    os.makedirs(f"{folder}/masks")
    for i in range(4):
        write_png(f"{folder}/masks/{i}.png")
    write_text(f"{folder}/classes.txt", "ground\ntree\n")


def header_of(content):
    """The header of a .safetensors file as an object, and its tensors' bytes."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def with_metadata(content, **changed):
    """The file with other metadata; without graft's check sums, as an older graft wrote it, so that the texts are read at all."""
    header, tensors = header_of(content)
    kept = {key: value for key, value in header.get("__metadata__", {}).items() if not key.endswith("crc32c")}
    header["__metadata__"] = kept | changed
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + tensors


def write_shards(content, folder):
    """A .safetensors file as hubs divide large ones: two files and an index."""
    header, tensors = header_of(content)
    entries = [(name, entry) for name, entry in header.items() if name != "__metadata__"]
    index = {}
    for number in (1, 2):
        name, place, part, data = f"model-0000{number}-of-00002.safetensors", 0, {}, b""
        for key, entry in entries[number - 1::2]:
            begin, end = entry["data_offsets"]
            part[key] = entry | {"data_offsets": [place, place + end - begin]}
            data, place = data + tensors[begin:end], place + end - begin
            index[key] = name
        text = json.dumps(part).encode()
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{name}", "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text + data)
    write_text(f"{folder}/model.safetensors.index.json", json.dumps({"metadata": {"total_size": len(tensors)}, "weight_map": index}))


def write_weights_with_configuration(folder, timm=False):
    """As hubs keep them: of transformers, or of timm."""
    os.makedirs(folder)
    shutil.copy(WEIGHTS, f"{folder}/w.pth")
    names = {str(i): f"class {i}" for i in range(10)}
    if timm:
        write_text(f"{folder}/config.json", json.dumps({"architecture": "resnet20", "num_classes": 10, "label_names": list(names.values()), "pretrained_cfg": {
            "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2], "input_size": [3, 32, 32], "crop_pct": 0.9, "interpolation": "bicubic",
            "crop_mode": "center"}}))
        return
    write_text(f"{folder}/config.json", json.dumps({"model_type": "resnet", "id2label": names, "num_labels": 10}))
    write_text(f"{folder}/preprocessor_config.json", json.dumps({"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.2], "rescale_factor": 1 / 255,
                                                                 "size": {"height": 32, "width": 32}, "do_resize": True}))
