"""Writes tests/data/reference/*.safetensors: what PyTorch computes for three tiny models (README.md says what is in
them), and says how far each lies from the file that was there. Ends with 1 when one lies beyond rounding.
"""
import hashlib
import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.numpy import save_file

import theory
from model import Model

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "..", "data", "reference")
SCRIPTS = ["theory.py", "model.py", "reference.py"]
STEPS = 10  # AdamW steps
# A large epsilon: with a small one, entries whose gradient is little more than rounding would move by chance.
ADAM = {"beta1": 0.9, "beta2": 0.98, "epsilon": 0.01, "weight_decay": 0.1, "clip": 1.5}
# Numbers may differ by as many roundings as follow each other on the way to a gradient, see README.md.
ROUNDING = 1024 * 2.0**-53

COLUMNS = {  # sizes; 0: a plain number. Names are those that a model looks for.
    "token": 16, "root": 14, "bar": 0, "quality": theory.VALUES, "key": 26, "phase": 0, "step": 14, "place": 0,
    "previous_root": 14, "pitch_class": 14,
}
MODELS = {
    "backbone": {
        "stage": "backbone", "layers": 2, "width": 20, "heads": 2, "feed_forward": 16, "memory": 0, "tokens": 14,
        "rotary_base": 10000, "form": "table",  # 5 pairs: 2 by index, 1 by time, 1 by root, 1 not turned
        "rotary": [{"by": "index", "share": 0.37}, {"by": "time", "share": 0.2}, {"by": "root", "share": 0.2}],
    },
    "melody": {
        "stage": "melody", "layers": 2, "width": 24, "heads": 2, "feed_forward": 16, "memory": 15, "tokens": 6,
        "rotary_base": 100, "form": "table",  # 6 pairs, one by each
        "rotary": [{"by": by, "share": 0.166} for by in
                   ("index", "time", "place", "root", "previous_root", "pitch_class")],
    },
    "published": {
        "stage": "backbone", "layers": 1, "width": 32, "heads": 2, "feed_forward": 8, "memory": 0, "tokens": 12,
        "rotary_base": 10000, "form": "mlp",  # 8 pairs, all by time, the last by the beat
        "rotary": [{"by": "time", "share": 1}],
    },
}
WINDOWS = {"backbone": 2, "melody": 5, "published": 1}
BATCH = 2
CHORDS = [  # root, quality, key: chords in major and minor keys, one still open, none, unknown
    (0, 0, 0), (9, 1, 0), (7, 6, 0), (2, 5, 21), (11, 8, 12), (4, 16, 0), (12, 17, 7), (13, 18, 25), (5, 4, 24),
]


# ---------------------------------------------------------------- data
def songs(windows, tokens):
    """Song of each row [batch, windows * tokens]: changes inside windows, rows without a song inside and at the end."""
    rows = windows * tokens
    song = np.zeros((BATCH, rows), np.int32)
    song[0, rows * 4 // 9:] = 1
    song[0, -2:] = -1
    song[1] = 7
    song[1, rows // 3] = -1
    song[1, rows // 3 + 1:] = 8
    return song


def invent(rng, config, windows):
    """rows [windows, batch, tokens, columns], targets and songs [windows, batch, tokens]"""
    tokens = config["tokens"]
    count = windows * tokens
    song = songs(windows, tokens)
    columns = {name: rng.integers(0, size or 1, (BATCH, count)) for name, size in COLUMNS.items()}
    for line in range(BATCH):
        chord, bar = 0, 0
        for t in range(count):
            if rng.random() < 0.4:
                chord = rng.integers(len(CHORDS))
            bar += rng.random() < 0.3
            for name, value in zip(("root", "quality", "key"), CHORDS[chord]):
                columns[name][line, t] = value
            columns["bar"][line, t] = bar
    columns["phase"] = rng.integers(0, 5041, (BATCH, count))
    columns["place"] = rng.integers(0, 9, (BATCH, count))
    target = rng.integers(0, COLUMNS["token"], (BATCH, count))
    target[(song < 0) | (rng.random((BATCH, count)) < 0.1)] = -1
    windowed = lambda a: np.stack(np.split(a, windows, axis=1))
    rows = np.stack([columns[name] for name in COLUMNS], axis=-1)
    return windowed(rows).astype(np.uint16), windowed(target).astype(np.int32), windowed(song)


def invent_weights(rng, shapes):
    """Away from where training starts, and exact in single precision."""
    weights = {}
    for name, shape in shapes.items():
        middle, spread = (1, 0.3) if name.endswith("gain") else (0, 0.4 if "harmony" in name or len(shape) > 1 else 0.2)
        numbers = middle + spread * (2 * rng.random(shape) - 1)
        weights[name] = torch.tensor(numbers.astype(np.float32).astype(np.float64), requires_grad=True)
    return weights


# ---------------------------------------------------------------- what PyTorch says
def window(data, number, step):
    """Rows as the model takes them, targets. Rows count on from step to step."""
    rows, target, song = (torch.tensor(a[number].astype(np.int64)) for a in data)
    at = {name: rows[..., i] for i, name in enumerate(COLUMNS)}
    tokens = target.shape[1]
    index = torch.arange(step * tokens, (step + 1) * tokens).expand_as(target)
    return at | {"song": song, "index": index}, target


def loss_of(logits, target):
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-1)


def one_pass(model, weights, data, objective=loss_of):
    """Logits of all windows, read one after the other, and the gradients of the sum of their losses."""
    memory, total, logits = None, 0, []
    for number in range(len(data[0])):
        at, target = window(data, number, number)
        out, memory = model.forward(weights, at, memory)
        logits.append(out.detach().numpy())
        total = total + objective(out, target)
    names = list(weights)
    gradients = torch.autograd.grad(total, [weights[n] for n in names])
    return np.stack(logits), {n: g.numpy() for n, g in zip(names, gradients)}


def leave_out_unread(model, weights, data):
    """Entries of H-RPE's tables that no logit depends on become 0, and are not stored: which are left, by tensor."""
    logits, gradients = one_pass(model, weights, data, lambda out, target: (out**2).sum())
    read = {n: np.abs(g) > 1e-12 * np.abs(g).max() for n, g in gradients.items() if "harmony" in n}
    with torch.no_grad():
        for name, kept in read.items():
            weights[name] *= torch.tensor(kept)
    assert np.allclose(one_pass(model, weights, data)[0], logits, rtol=0, atol=1e-12)
    return read


def decays(name):
    """Matrices; not gains, biases and the tables of H-RPE."""
    return name == "embedding" or name.endswith((".qkv", ".out", ".up", ".down"))


def training(model, weights, data):
    """Losses and gradient norms of AdamW steps, windows over and over, the memory kept throughout."""
    groups = [{"params": [w for n, w in weights.items() if decays(n) == d],
               "weight_decay": ADAM["weight_decay"] if d else 0} for d in (True, False)]
    optimizer = torch.optim.AdamW(groups, betas=(ADAM["beta1"], ADAM["beta2"]), eps=ADAM["epsilon"], foreach=False)
    memory, losses, norms = None, [], []
    rates = [0.02 * min((step + 1) / 4, 1) for step in range(STEPS)]
    for step, rate in enumerate(rates):
        at, target = window(data, step % len(data[0]), step)
        logits, memory = model.forward(weights, at, memory)
        loss = loss_of(logits, target)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.sqrt(sum((w.grad**2).sum() for w in weights.values()))
        for w in weights.values():
            w.grad *= torch.clamp(ADAM["clip"] / norm, max=1)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        losses.append(loss.item())
        norms.append(norm.item())
    return {"rates": np.array(rates), "losses": np.array(losses), "norms": np.array(norms)}


# ---------------------------------------------------------------- files
def put(tensors, name, array, kept=None):
    """Whole, or as values and their places where less than half is kept."""
    if kept is not None and kept.mean() < 0.5:
        tensors[name], tensors[name + "/at"] = array[kept], np.flatnonzero(kept).astype(np.int32)
    else:
        tensors[name] = array


def make_model(number, name, phi):
    config, rng = MODELS[name], np.random.Generator(np.random.PCG64(number))
    model = Model(config, COLUMNS, phi)
    data = invent(rng, config, WINDOWS[name])
    weights = invent_weights(rng, model.shapes())
    read = leave_out_unread(model, weights, data)
    logits, gradients = one_pass(model, weights, data)
    tensors = {"rows": data[0], "target": data[1], "song": data[2], "logits": logits}
    tensors["adam"] = np.array([ADAM[k] for k in ("beta1", "beta2", "epsilon", "weight_decay", "clip")])
    for n in weights:
        put(tensors, "weight/" + n, weights[n].detach().numpy().astype(np.float32), read.get(n))
        put(tensors, "gradient/" + n, gradients[n], read.get(n))
    return tensors | training(model, weights, data), config


def make_theory(phi):
    """phi of the real qualities, as its distinct values and their numbers."""
    phi = phi[:, :, : theory.COUNT, : theory.COUNT]
    _, first, number = np.unique(phi.round(10), return_index=True, return_inverse=True)
    return {"values": phi.flatten()[first], "number": number.reshape(phi.shape).astype(np.uint16)}, None


def described(config):
    about = {"torch": torch.__version__.split("+")[0]}
    code = b"".join(open(os.path.join(HERE, script), "rb").read() for script in SCRIPTS)
    about["sha256"] = hashlib.sha256(code).hexdigest()
    if config:
        columns = [{"name": n, "size": s, "group": "", "transpose": ""} for n, s in COLUMNS.items()]
        about |= {"config": config, "columns": columns, "vocabulary": [f"T{i}" for i in range(COLUMNS["token"])]}
    return {"reference": json.dumps(about)}


def differs(tensors, path):
    """How far from the file at `path`, as text, and whether that is beyond rounding."""
    if not os.path.exists(path):
        return "new", False
    with safe_open(path, framework="numpy") as file:
        old = {name: file.get_tensor(name) for name in file.keys()}
    kinds = lambda t: {n: (a.dtype, a.shape) for n, a in t.items()}
    if kinds(old) != kinds(tensors):
        return "other tensors", True
    worst, where = 0, ""
    for name, array in tensors.items():
        if array.dtype != np.float64:
            if not np.array_equal(array, old[name]):
                return f"{name} differs", True
            continue
        error = np.abs(array - old[name]).max(initial=0) / (np.abs(array).max(initial=0) or 1)
        if error > worst:
            worst, where = error, name
    if worst == 0:
        return "the same numbers", False
    return f"differs by {worst:.1e} of the largest number of {where}", worst > ROUNDING


def main():
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    os.makedirs(FOLDER, exist_ok=True)
    phi = theory.phi()
    made = {"theory": make_theory(phi)}
    for number, name in enumerate(MODELS):
        made[name] = make_model(number + 1, name, phi)
    beyond = False
    for name, (tensors, config) in made.items():
        path = os.path.join(FOLDER, name + ".safetensors")
        text, changed = differs(tensors, path)
        save_file({n: np.ascontiguousarray(a) for n, a in tensors.items()}, path, described(config))
        print(f"{name}.safetensors: {os.path.getsize(path)} bytes, {text}" + (" (beyond rounding)" if changed else ""))
        beyond |= changed
    print(f"allowed: {ROUNDING:.1e}, 1024 roundings")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
