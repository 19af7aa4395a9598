"""torchvision worker for JPEG loading: batches of training input from a folder of photos, decoded every time, by
DataLoader's persistent worker processes.  --decode jpeg: torchvision.io and v2 transforms on tensors; pil: PIL images.
--augment light: random resized crop of 0.8 to 1 and flip, as graft's; none: Resize(256), CenterCrop(224)."""
import argparse, glob, os
import common

ap = argparse.ArgumentParser()
ap.add_argument("--data", required=True)
ap.add_argument("--decode", default="jpeg", choices=["jpeg", "pil"])
ap.add_argument("--augment", default="light", choices=["light", "none"])
ap.add_argument("--batch", type=int, default=32)
ap.add_argument("--size", type=int, default=224)
ap.add_argument("--workers", type=int, default=2)
a = ap.parse_args()
common.set_threads_env(1)
import torch, torchvision
from PIL import Image
from torchvision import transforms as T
from torchvision.transforms import v2

torch.set_num_threads(1)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
t = v2 if a.decode == "jpeg" else T
how = [t.RandomResizedCrop(a.size, scale=(0.8, 1.0), antialias=True), t.RandomHorizontalFlip()] if a.augment == "light" else \
      [t.Resize(a.size * 256 // 224, antialias=True), t.CenterCrop(a.size)]
last = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)] if a.decode == "jpeg" else [T.ToTensor(), T.Normalize(MEAN, STD)]
transform = t.Compose(how + last)
files = sorted(glob.glob(os.path.join(a.data, "**", "*.jpg"), recursive=True))


class Photos(torch.utils.data.Dataset):
    def __len__(s): return len(files)

    def __getitem__(s, i):
        if a.decode == "jpeg":
            io = torchvision.io
            return transform(io.decode_jpeg(io.read_file(files[i]), mode=io.ImageReadMode.RGB))
        return transform(Image.open(files[i]).convert("RGB"))


loader = torch.utils.data.DataLoader(Photos(), batch_size=a.batch, shuffle=True, drop_last=True, num_workers=a.workers, persistent_workers=a.workers > 0)


def endless():
    while True:
        yield from loader


batches = endless()
common.serve(lambda: next(batches), a.batch, version=torchvision.__version__)
