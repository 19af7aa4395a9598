#!/usr/bin/env python3
"""examples/python/graft_ctypes.py on a shared libgraft: every kind of image, threads, errors, training.

Usage: tests/capi/ctypes_test.py LIBGRAFT.so
"""
import random
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "examples/python"))
sys.dont_write_bytecode = True
import graft_ctypes as g  # noqa: E402

SIDE = 24


def photos(folder):
    """Red and blue noise, as PPM."""
    rng = random.Random(1)
    for c, color in ((0, "red"), (2, "blue")):
        (folder / color).mkdir(parents=True)
        for i in range(6):
            pixels = bytes(rng.randrange(150) + (90 if p % 3 == c else 20) for p in range(SIDE * SIDE * 3))
            (folder / color / f"{i}.ppm").write_bytes(b"P6\n%d %d\n255\n" % (SIDE, SIDE) + pixels)


def refused(status, words, call):
    try:
        call()
    except g.Error as error:
        assert error.status == status and words in str(error), (error.status, str(error))
        return
    raise AssertionError(f"nothing was refused: {words}")


def answers(model, folder):
    paths = [str(p) for p in sorted(folder.rglob("*.ppm"))]
    expected = [list(row) for row in model.predict(paths)]
    assert len(expected) == 12 and all(abs(sum(row) - 1) < 1e-5 for row in expected)
    model.warm_up(4)
    assert [list(row) for row in model.predict([Path(p).read_bytes() for p in paths])] == expected
    if g.np is not None:
        whole = [g.np.frombuffer(Path(p).read_bytes()[-SIDE * SIDE * 3:], g.np.uint8).reshape(SIDE, SIDE, 3) for p in paths]
        assert [list(row) for row in model.predict(whole)] == expected
        wide = g.np.zeros((SIDE, 2 * SIDE, 4), g.np.uint8)  # rows with gaps, and alpha
        wide[:, :SIDE, :3] = whole[0]
        assert list(model.predict([wide[:, :SIDE]])[0]) == expected[0]
        assert list(model.predict([whole[0][:, ::-1][:, ::-1]])[0]) == expected[0]
    label, value = model.said(model.predict(paths[:1])[0])[0]
    assert label in model.labels and value == max(expected[0])
    assert len(model.features(paths[:2])[0]) == 64 and len(model.features(paths[:1], "layer1")[0]) == 16 * 32 * 32
    faults = []

    def work(at):
        try:
            for i in range(4):
                k = (at + i) % len(paths)
                if list(model.predict([paths[k]])[0]) != expected[k]:
                    faults.append(k)
        except Exception as error:  # noqa: BLE001: of a thread, for the one who joins
            faults.append(error)

    threads = [threading.Thread(target=work, args=(t,)) for t in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults


def main():
    graft = g.Graft(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos(folder / "photos")
        weights = str(ROOT / "examples/pretrained/cifar10_resnet20.th")
        model = graft.load(weights, threads=1)
        assert (model.task, model.outputs, model.input_shape) == ("classify", 10, (3, 32, 32)), vars(model)
        assert model.certificate and model.thresholds() == []
        answers(model, folder / "photos")
        refused(g.BAD_INPUT, "/nowhere.jpg", lambda: model.predict(["/nowhere.jpg"]))
        refused(g.BAD_INPUT, "/nowhere.pth", lambda: graft.load("/nowhere.pth"))
        refused(g.BAD_INPUT, "layer3", lambda: model.features([], "layer9"))

        phases, notes = set(), []
        trained, result = graft.finetune(weights, str(folder / "photos"), epochs=2, seed=3, on_note=notes.append,
                                         on_progress=lambda p: phases.add(p.phase))
        assert result.epochs == 2 and result.score_name == b"accuracy" and b"train" in phases and notes
        trained.save(str(folder / "model.safetensors"))
        again = graft.load(str(folder / "model.safetensors"))
        path = str(folder / "photos/red/0.ppm")
        assert again.labels == ["blue", "red"] and list(again.predict([path])[0]) == list(trained.predict([path])[0])
        refused(g.STOPPED, "stopped", lambda: graft.finetune(weights, str(folder / "photos"), on_progress=lambda p: True))
        graft.convert(weights, str(folder / "model.onnx"))
        assert graft.load(str(folder / "model.onnx")).outputs == 10
    print(f"graft {graft.version} by ctypes, {'with' if g.np is not None else 'without'} numpy: as it should be")


if __name__ == "__main__":
    main()
