"""ResNets in plain PyTorch, as torchvision has them (v1.5: the stride is in the 3x3), for machines without torchvision."""
from torch import nn

STAGES = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}


def conv_bn(c, k, size, stride=1):
    return [nn.Conv2d(c, k, size, stride, size // 2, bias=False), nn.BatchNorm2d(k)]


class Block(nn.Module):
    def __init__(s, c, width, stride, bottleneck):
        super().__init__()
        out = width * 4 if bottleneck else width
        relu = nn.ReLU(inplace=True)
        if bottleneck:
            layers = conv_bn(c, width, 1) + [relu] + conv_bn(width, width, 3, stride) + [relu] + conv_bn(width, out, 1)
        else:
            layers = conv_bn(c, width, 3, stride) + [relu] + conv_bn(width, out, 3)
        s.body = nn.Sequential(*layers)
        s.shortcut = nn.Sequential(*conv_bn(c, out, 1, stride)) if stride > 1 or c != out else nn.Identity()
        s.relu = relu

    def forward(s, x):
        return s.relu(s.body(x) + s.shortcut(x))


class ResNet(nn.Module):
    def __init__(s, name, classes, stages=4):
        super().__init__()
        bottleneck = name not in ("resnet18", "resnet34")
        layers, c = conv_bn(3, 64, 7, 2) + [nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)], 64
        for stage, blocks in enumerate(STAGES[name][:stages]):
            for block in range(blocks):
                layers.append(Block(c, 64 << stage, 2 if stage > 0 and block == 0 else 1, bottleneck))
                c = (64 << stage) * (4 if bottleneck else 1)
        s.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        s.fc = nn.Linear(c, classes)

    def forward(s, x):
        return s.fc(s.features(x))
