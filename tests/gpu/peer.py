"""peer.py -- what the same step takes in PyTorch, on the same GPU: the larger models of `bench steps`, in bf16.

  python3 tests/gpu/peer.py

"plain": RoPE alone, torch.compile, scaled_dot_product_attention with is_causal (FlashAttention), the fused AdamW: the best
that PyTorch has, and less than our models do. "table": a bias of harmonic segments, as PyTorch code has it: G gathered to
[batch, heads, tokens, tokens] and given as attn_mask. Random tokens, dropout 0.1, the same batch; the median of seven rounds.
"""
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

LAYERS, C, H, W, T, B, V = 8, 512, 8, 2048, 1024, 32, 331


class Block(nn.Module):
    def __init__(self, table):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.qkv, self.out = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.up, self.down = nn.Linear(C, W), nn.Linear(W, C)
        self.table = table

    def forward(self, x, cosine, sine, g, segment, causal):
        q, k, v = self.qkv(self.norm1(x)).view(B, T, 3, H, C // H).permute(2, 0, 3, 1, 4)
        q, k = (torch.cat((a * cosine - b * sine, a * sine + b * cosine), -1)
                for a, b in (q.chunk(2, -1), k.chunk(2, -1)))
        q, k = q.to(v.dtype), k.to(v.dtype)
        if self.table:
            n = g.shape[-1]
            pairs = (segment[:, :, None] * n + segment[:, None, :]).view(B, 1, T * T).expand(B, H, T * T)
            bias = g.view(B, H, n * n).gather(2, pairs).view(B, H, T, T).masked_fill(causal, float("-inf"))
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype), dropout_p=0.1)
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=0.1)
        x = x + F.dropout(self.out(y.transpose(1, 2).reshape(B, T, C)), 0.1)
        return x + F.dropout(self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh")), 0.1)


class Model(nn.Module):
    def __init__(self, table):
        super().__init__()
        self.embed = nn.Embedding(V, C)
        self.blocks = nn.ModuleList(Block(table) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(C)
        self.g = nn.Parameter(torch.zeros(LAYERS, B, H, 256, 256)) if table else None

    def forward(self, tokens, target, cosine, sine, segment, causal):
        x = self.embed(tokens)
        for i, block in enumerate(self.blocks):
            x = block(x, cosine, sine, None if self.g is None else self.g[i], segment, causal)
        return F.cross_entropy((self.norm(x) @ self.embed.weight.T).view(-1, V).float(), target.view(-1))


def measure(name, table, compiled):
    torch.manual_seed(1)
    model = Model(table).cuda()
    step_of = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW([p for n, p in model.named_parameters() if n != "g"], lr=1e-3, fused=True)
    tokens = torch.randint(V, (B, T + 1), device="cuda")
    angle = torch.arange(T, device="cuda")[:, None] * 10000 ** (-torch.arange(C // H // 2, device="cuda") / (C // H // 2))
    segment = (torch.arange(T, device="cuda") // 4).expand(B, T)
    causal = torch.ones(T, T, dtype=torch.bool, device="cuda").triu(1)

    def step():
        with torch.autocast("cuda", torch.bfloat16):
            loss = step_of(tokens[:, :-1], tokens[:, 1:].contiguous(), angle.cos(), angle.sin(), segment, causal)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(4):
        step()
    taken = []
    for _ in range(7):
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(5):
            step()
        torch.cuda.synchronize()
        taken.append((time.perf_counter() - began) / 5)
    middle = sorted(taken)[3]
    print(f"  {name:44} {1e3 * middle:8.3f} ms a step {B * T / middle:10.0f} tokens/s", flush=True)


if __name__ == "__main__":
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}: {LAYERS} layers of {C}, {B} x {T} tokens, bf16")
    measure("plain RoPE, eager", False, False)
    measure("a table on segments, eager", True, False)
    measure("plain RoPE, compiled", False, True)
