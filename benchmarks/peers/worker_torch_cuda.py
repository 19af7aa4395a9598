"""PyTorch worker for a GPU (--device cpu: the same code, to try it out).  --mode eager | compile (inductor) | graph (the step captured).

Always channels_last, cudnn.benchmark on.  bf16: training under autocast with float32 weights, inference with bfloat16 weights.  Data lies on
the device, every step ends with a synchronisation, as graft's does.
"""
import argparse
import common

ap = common.std_args(argparse.ArgumentParser())
ap.add_argument("--mode", default="eager", choices=["eager", "compile", "graph"])
a = ap.parse_args()
import torch
import resnet_torch

device = torch.device("cuda:0" if a.device == "cuda" else a.device)
if device.type == "cuda":
    torch.cuda.init()
    torch.backends.cudnn.benchmark = True
elif a.mode == "graph":
    raise SystemExit("CUDA graphs need a GPU")
wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
torch.manual_seed(0)
amp = a.dtype == "bf16"
m = resnet_torch.ResNet(a.model, a.classes).to(device, memory_format=torch.channels_last)
x = torch.randn(a.batch, 3, a.size, a.size, device=device).to(memory_format=torch.channels_last)
y = torch.randint(0, a.classes, (a.batch,), device=device)
autocast = lambda: torch.autocast(device.type, dtype=torch.bfloat16, enabled=amp, cache_enabled=a.mode != "graph")


def inference():
    global m, x
    m.eval()
    if amp:
        m, x = m.to(torch.bfloat16), x.to(torch.bfloat16)
    f = torch.compile(m) if a.mode == "compile" else m

    def step():
        with torch.no_grad():
            f(x)
    return step


def optimizer(parameters):
    fused = device.type == "cuda" or None
    if a.opt == "sgd":
        return torch.optim.SGD(parameters, lr=0.01, momentum=0.9, fused=fused)
    return torch.optim.Adam(parameters, lr=1e-3, fused=fused, capturable=a.mode == "graph")


def training():
    if a.task == "probe":  # frozen backbone in eval, only the head learns
        m.eval().requires_grad_(False)
        m.fc.requires_grad_(True)
    else:
        m.train()
    o = optimizer([p for p in m.parameters() if p.requires_grad])
    f = torch.compile(m) if a.mode == "compile" else m
    lossf = torch.nn.CrossEntropyLoss()

    def step():
        o.zero_grad(set_to_none=True)
        with autocast():
            l = lossf(f(x), y)
        l.backward()
        o.step()
    return step


def captured(step):
    """The step as a CUDA graph, after some on a stream of its own (PyTorch's documentation of CUDA graphs)."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    g = torch.cuda.CUDAGraph()
    with torch.cuda.graph(g):
        step()
    return g.replay


work = inference() if a.task == "infer" else training()
if a.mode == "graph":
    work = captured(work)


def step():
    work()
    wait()


common.serve(step, a.batch, warmup=5, version=torch.__version__, device=torch.cuda.get_device_name(0) if device.type == "cuda" else "cpu")
