"""Holds our scores (build/.../tools/agreement) against mir_eval's own.

    agreement.py TOOL FOLDER [POP909]

Made-up chords of every quality, with added and left out degrees and basses; beats, boundaries and keys; and, with
POP909, its chord_midi against chord_audio. One line a check, "ok NAME" or "WRONG NAME: ours, theirs".
"""

import itertools
import random
import subprocess
import sys
import warnings

import mir_eval
import numpy as np

warnings.filterwarnings("ignore")
TOOL, FOLDER = sys.argv[1:3]
NOTES = "C C# Db D Eb E F F# Gb G G# Ab A Bb B".split()
DEGREES = "1 2 b3 3 4 b5 5 #5 6 b7 7 9".split()


def ours(kind, reference, estimate):
    out = subprocess.run([TOOL, kind, reference, estimate], check=True, capture_output=True, text=True).stdout
    return {name: float(value) for name, value in (line.split() for line in out.splitlines())}


def tell(name, mine, theirs):
    wrong = {k: (mine.get(k), v) for k, v in theirs.items() if k not in mine or abs(mine[k] - v) > 1e-6}
    print(f"WRONG {name}: {wrong}" if wrong else f"ok {name}")


def label(rng):
    if rng.random() < 0.06:
        return rng.choice("NX")
    text = rng.choice(NOTES)
    if rng.random() < 0.9:
        text += ":" + rng.choice([q for q in mir_eval.chord.QUALITIES if q])
        if rng.random() < 0.2:
            text += "(" + ",".join(rng.choice(["", "*"]) + d for d in rng.sample(DEGREES, rng.choice([1, 2]))) + ")"
    if rng.random() < 0.3:
        text += "/" + rng.choice(DEGREES)
    return text


def near(symbol, rng):
    """The same, or the same root with another quality, or another chord: so that each comparison has both answers."""
    draw = rng.random()
    if draw < 0.3:
        return symbol
    if draw < 0.7 and symbol not in "NX":
        return symbol.split(":")[0].split("/")[0] + ":" + rng.choice(["maj", "min", "7", "maj7", "min7", "sus4", "maj6"])
    return label(rng)


def write_spans(path, rows):
    with open(path, "w") as f:
        f.writelines(f"{a:.6f} {b:.6f} {c}\n" for a, b, c in rows)


def read_spans(path):
    rows = [line.split() for line in open(path) if line.strip()]
    return np.array([[float(a), float(b)] for a, b, _ in rows]), [c for _, _, c in rows]


def chords(name, reference, estimate):
    theirs = mir_eval.chord.evaluate(*read_spans(reference), *read_spans(estimate))
    tell(name, ours("chords", reference, estimate), {k: v for k, v in theirs.items() if "seg" not in k})


def made_up_chords(seed):
    rng = random.Random(seed)
    cuts = sorted({round(rng.uniform(0, 100), 3) for _ in range(300)})
    heard = [0.0] + sorted({round(rng.uniform(1, 95), 3) for _ in range(280)})
    reference = [(a, b, label(rng)) for a, b in itertools.pairwise(cuts)]
    estimate = []
    for a, b in itertools.pairwise(heard):
        under = [c for x, y, c in reference if x <= (a + b) / 2 < y]
        estimate.append((a, b, near(under[0], rng) if under else label(rng)))
    paths = f"{FOLDER}/reference", f"{FOLDER}/estimate"
    write_spans(paths[0], reference)
    write_spans(paths[1], estimate)
    chords(f"made-up chords {seed}", *paths)


def write_events(path, events):
    with open(path, "w") as f:
        f.writelines(f"{e:.6f}\n" for e in events)


def made_up_events(seed):
    rng = random.Random(seed)
    paths = f"{FOLDER}/reference", f"{FOLDER}/estimate"
    beats = sorted({round(i * 0.5 + rng.uniform(-0.2, 0.2), 4) for i in range(1, 200)})
    guess = sorted({round(b + rng.gauss(0, 0.07), 4) for b in beats if rng.random() < 0.8 and b > 1})
    for path, events in zip(paths, (beats, guess)):
        write_events(path, events)
    a, b = (mir_eval.beat.trim_beats(np.array(x)) for x in (beats, guess))
    tell(f"beats {seed}", ours("beats", *paths), {"f_measure": mir_eval.beat.f_measure(a, b)})
    spans = [np.array(list(itertools.pairwise(x))) for x in (beats, guess)]
    theirs = mir_eval.segment.detection(*spans, window=0.5)[2]
    tell(f"boundaries {seed}", ours("boundaries", *paths), {"f_measure": theirs})


def keys():
    modes = {"maj": "major", "min": "minor"}
    names = [f"{n}:{m}" for n in ("C", "Eb", "F#", "G", "A", "B") for m in modes]
    for a, b in itertools.product(names[:6], names):
        spelt = (f"{x.split(':')[0]} {modes[x.split(':')[1]]}" for x in (a, b))
        tell(f"key {a} {b}", ours("key", a, b), {"weighted_score": mir_eval.key.weighted_score(*spelt)})


for seed in range(12):
    made_up_chords(seed)
    made_up_events(seed)
keys()
for song in range(1, 600, 37) if len(sys.argv) > 3 else ():
    folder = f"{sys.argv[3]}/{song:03d}"
    chords(f"chord_midi against chord_audio, song {song}", f"{folder}/chord_midi.txt", f"{folder}/chord_audio.txt")
