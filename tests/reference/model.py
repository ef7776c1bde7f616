"""Both models in PyTorch, from the design's formulas: plain attention over pairs of rows, no segments, no ring, no
backward pass of our own. Rows are a dict of columns, each a whole-number tensor [batch, rows].

The memory of a layer is the list of its inputs so far, cut to the last `memory` rows, without gradient. Rows count on
from the start of the stream; angles depend on differences only, so that they may start anywhere.
"""
import math

import torch
import torch.nn.functional as F

ROOTS = {"root", "previous_root", "pitch_class"}
PERIODS = [4, 8, 16, 32, 2, 64, 1, "beat"]  # bars
TURNS = [5, 4, 3, 1, 2, 6]  # twelfths of a turn a semitone
PHASES, STEPS = 5040, 12  # of a bar, of a beat


class Model:
    def __init__(self, config, columns, phi):
        self.config, self.columns = config, columns  # columns: {name: size}, in the order of the rows
        self.phi = torch.tensor(phi)
        self.head = config["width"] // config["heads"]

    def shapes(self):
        c, q = self.config, self.columns["quality"]
        C, H, W = c["width"], c["heads"], c["feed_forward"]
        shapes = {"embedding": [sum(self.columns.values()), C]}
        for i in range(c["layers"]):
            part = {
                "norm1.gain": [C], "norm1.bias": [C], "attention.qkv": [3 * C, C], "attention.qkv_bias": [3 * C],
                "attention.out": [C, C], "attention.out_bias": [C], "norm2.gain": [C], "norm2.bias": [C],
                "feed_forward.up": [W, C], "feed_forward.up_bias": [W], "feed_forward.down": [C, W],
                "feed_forward.down_bias": [C],
            }
            if c["form"] == "table":
                part |= {"harmony.roots": [H, 12, q, q], "harmony.function": [H, 25, 25],
                         "harmony.theory": [H, len(self.phi)]}
            else:
                size = hidden = 16
                part |= {"harmony.mlp_root": [12, H, size], "harmony.mlp_quality": [q, q, H, size],
                         "harmony.mlp_function": [25, 25, H, size], "harmony.mlp_w1": [hidden, 3 * size],
                         "harmony.mlp_b1": [hidden], "harmony.mlp_w2": [hidden], "harmony.mlp_b2": [1]}
            shapes |= {f"layer.{i}.{name}": shape for name, shape in part.items()}
        return shapes | {"norm.gain": [C], "norm.bias": [C]}

    # ---- rotation
    def angles(self, rows, index):
        """[batch, rows, pairs of a head]"""
        pairs = self.head // 2
        phase = rows["phase"] / PHASES
        no_step = rows["step"] >= self.columns["step"] - 2  # none, unknown
        turned = []
        share = 0
        for entry in self.config["rotary"]:
            share += entry["share"]
            count = math.floor(share * pairs + 0.5) - len(turned)
            for k in range(count):
                by = entry["by"]
                if by == "index":
                    turned.append(index * self.config["rotary_base"] ** (-k / count))
                elif by in ROOTS:
                    tone = torch.where(rows[by] < 12, rows[by], 0)
                    turned.append(2 * math.pi * TURNS[k % 6] * tone / 12)
                elif PERIODS[k % 8] == "beat":
                    turned.append(2 * math.pi * torch.where(no_step, 0, rows["step"]) / STEPS)
                else:
                    bars = rows["bar" if by == "time" else "place"] + phase
                    turned.append(2 * math.pi * bars / PERIODS[k % 8])
        turned += [torch.zeros_like(phase)] * (pairs - len(turned))
        return torch.stack([t.expand_as(phase) for t in turned], dim=-1)

    def turn(self, x, angle):
        """x [batch, rows, heads, head]: the pair (i, i + head/2) as a complex number, times e^(i angle)"""
        a, b = x.chunk(2, dim=-1)
        z = torch.complex(a, b) * torch.polar(torch.ones_like(angle), angle)[:, :, None]
        return torch.cat([z.real, z.imag], dim=-1)

    # ---- H-RPE: G for each pair of a query's and a key's row [batch, heads, queries, keys]
    def harmony(self, w, rows, keys):
        ra, rb = rows["root"][:, :, None], keys["root"][:, None, :]
        qa, qb = (t.long() for t in torch.broadcast_tensors(rows["quality"][:, :, None], keys["quality"][:, None, :]))
        chords = (ra < 12) & (rb < 12)
        delta = torch.where(chords, (ra - rb) % 12, 0)

        def function(r):  # degree and mode, or 24
            known = (r["root"] < 12) & (r["key"] < 24)
            return torch.where(known, 2 * ((r["root"] - r["key"] % 12) % 12) + r["key"] // 12, 24)

        fa, fb = torch.broadcast_tensors(function(rows)[:, :, None], function(keys)[:, None, :])
        if self.config["form"] == "table":
            g = w["harmony.roots"][:, delta, qa, qb] + w["harmony.function"][:, fa, fb]
            g = g + torch.einsum("hf,fbij->hbij", w["harmony.theory"], self.phi[:, delta, qa, qb])
            return g.transpose(0, 1)
        parts = [w["harmony.mlp_root"][delta], w["harmony.mlp_quality"][qa, qb], w["harmony.mlp_function"][fa, fb]]
        hidden = F.relu(F.linear(torch.cat(parts, dim=-1), w["harmony.mlp_w1"], w["harmony.mlp_b1"]))
        g = hidden @ w["harmony.mlp_w2"] + w["harmony.mlp_b2"]  # [batch, queries, keys, heads]
        return (g * chords[..., None]).permute(0, 3, 1, 2)

    # ---- the network
    def attention(self, w, x, at, past):
        """x: a layer's input; at: its rows (columns, song, index); past: the memory's inputs and rows, or None"""
        c = self.config
        everything, rows = x, at
        if past is not None:
            everything = torch.cat([past[0].detach(), x], dim=1)
            rows = {name: torch.cat([past[1][name], at[name]], dim=1) for name in at}
        queries = x.shape[1]
        heads = lambda t: t.unflatten(-1, (c["heads"], self.head))
        normed = F.layer_norm(everything, [c["width"]], w["norm1.gain"], w["norm1.bias"], 1e-5)
        q, k, v = map(heads, F.linear(normed, w["attention.qkv"], w["attention.qkv_bias"]).chunk(3, dim=-1))
        angle = self.angles(rows, rows["index"])
        q, k = self.turn(q, angle)[:, -queries:], self.turn(k, angle)
        logits = torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(self.head) + self.harmony(w, at, rows)
        song = at["song"][:, :, None]
        allowed = (song >= 0) & (song == rows["song"][:, None, :])
        allowed &= at["index"][:, :, None] >= rows["index"][:, None, :]
        share = logits.masked_fill(~allowed[:, None], -1e30).softmax(dim=-1) * allowed[:, None]
        mixed = torch.einsum("bhij,bjhd->bihd", share, v).flatten(2)
        return F.linear(mixed, w["attention.out"], w["attention.out_bias"])

    def forward(self, weights, at, memory):
        """Logits of a window and the new memory: a list of (inputs, rows), one a layer."""
        c = self.config
        offset, x = 0, 0
        for name, size in self.columns.items():
            if size:  # a plain number is not embedded
                x = x + weights["embedding"][offset + at[name]]
            offset += size
        after = []
        for i in range(c["layers"]):
            prefix = f"layer.{i}."
            w = {n.removeprefix(prefix): t for n, t in weights.items() if n.startswith(prefix)}
            past = memory[i] if memory else None
            if c["memory"]:
                inputs, rows = (x, at) if past is None else (
                    torch.cat([past[0], x], 1), {n: torch.cat([past[1][n], at[n]], 1) for n in at})
                after.append((inputs[:, -c["memory"]:].detach(), {n: t[:, -c["memory"]:] for n, t in rows.items()}))
            x = x + self.attention(w, x, at, past)
            y = F.layer_norm(x, [c["width"]], w["norm2.gain"], w["norm2.bias"], 1e-5)
            y = F.gelu(F.linear(y, w["feed_forward.up"], w["feed_forward.up_bias"]), approximate="tanh")
            x = x + F.linear(y, w["feed_forward.down"], w["feed_forward.down_bias"])
        x = F.layer_norm(x, [c["width"]], weights["norm.gain"], weights["norm.bias"], 1e-5)
        return x @ weights["embedding"][: self.columns["token"]].T, after
