"""The seven fixed distances between chords that H-RPE weighs, from their definitions (core/music/theory.h names the
sources). Written apart from core/music/theory_phi.c: by sets and spelt intervals, so that the two can be compared.
"""
import itertools
import math

import numpy as np

# semitones and places on the line of fifths of a degree above the root
DEGREES = {
    "1": (0, 0), "2": (2, 2), "b3": (3, -3), "3": (4, 4), "4": (5, -1), "b5": (6, -6), "5": (7, 1), "#5": (8, 8),
    "6": (9, 3), "bb7": (9, -9), "b7": (10, -2), "7": (11, 5),
}
# in the order of the quality column: root, third (or what stands in its place), fifth, fourth tone
QUALITIES = {
    "maj": "1 3 5", "min": "1 b3 5", "dim": "1 b3 b5", "aug": "1 3 #5", "maj7": "1 3 5 7", "min7": "1 b3 5 b7",
    "7": "1 3 5 b7", "hdim7": "1 b3 b5 b7", "dim7": "1 b3 b5 bb7", "minmaj7": "1 b3 5 7", "maj6": "1 3 5 6",
    "min6": "1 b3 5 6", "sus2": "1 2 5", "sus4": "1 4 5", "sus4(b7)": "1 4 5 b7", "5": "1 - 5",
}
NAMES = list(QUALITIES)
COUNT = len(NAMES)
VALUES = COUNT + 3  # the quality column also has open, none, unknown


def degrees(quality):
    return QUALITIES[NAMES[quality]].split()


def tones(root, quality):
    """Pitch classes."""
    return {(root + DEGREES[d][0]) % 12 for d in degrees(quality) if d != "-"}


def common_tones(delta, qa, qb):
    return len(tones(delta, qa) & tones(0, qb))


def fifths(delta, qa, qb):
    return next(n for n in range(7) if 7 * n % 12 == delta or -7 * n % 12 == delta)


def tonnetz_steps():
    """Steps from pitch class 0 to each other by fifths and thirds, up or down: a search in breadth."""
    steps, edge = {0: 0}, {0}
    while edge:
        edge = {(t + s) % 12 for t in edge for s in (7, -7, 4, -4, 3, -3)} - set(steps)
        steps.update(dict.fromkeys(edge, max(steps.values()) + 1))
    return steps


STEPS = tonnetz_steps()


def tonnetz(delta, qa, qb):
    """From each tone to the nearest of the other chord: mean over the tones, then over both directions."""
    a, b = tones(delta, qa), tones(0, qb)
    ways = [np.mean([min(STEPS[(t - f) % 12] for t in to) for f in of]) for of, to in ((a, b), (b, a))]
    return np.mean(ways)


def tonal_centroid(delta, qa, qb):
    """Harte, Sandler, Gasser 2006."""

    def centroid(pitch_classes):
        circles = [(1, 7 * math.pi / 6), (1, 3 * math.pi / 2), (0.5, 2 * math.pi / 3)]
        point = lambda t: [r * f(angle * t) for r, angle in circles for f in (math.sin, math.cos)]
        return np.mean([point(t) for t in pitch_classes], axis=0)

    return np.linalg.norm(centroid(tones(delta, qa)) - centroid(tones(0, qb)))


def spiral(delta, qa, qb):
    """Chew 2000, h = 0.4: the chords' weighted means; b in the spelling that lies nearest."""

    def mean(root, quality):
        names = degrees(quality)
        weight = dict(zip(names, (0.536, 0.19, 0.274)))  # root, third, fifth
        weight.pop("-", None)
        scale = (0.85 if len(names) == 4 else 1) / sum(weight.values())
        weight = {d: w * scale for d, w in weight.items()} | {d: 0.15 for d in names[3:]}
        places = [(w, root + DEGREES[d][1]) for d, w in weight.items()]
        return sum(w * np.array([math.sin(k * math.pi / 2), math.cos(k * math.pi / 2), 0.4 * k]) for w, k in places)

    a = mean(7 * delta % 12, qa)
    return min(np.linalg.norm(a - mean(12 * turn, qb)) for turn in range(-3, 4))


def lerdahl(delta, qa, qb):
    """Lerdahl 2001, delta(a -> b) = i + j + k over the best pair of diatonic collections; chords are triads here."""

    def triad(quality):  # sus and power chords count as major
        third, fifth = degrees(quality)[1:3]
        return ("b3" if third == "b3" else "3"), fifth

    def collections(root, quality):  # tonics whose seven places on the line of fifths hold the triad
        third, fifth = triad(quality)
        places = {root + DEGREES[d][1] for d in ("1", third, "5" if fifth == "#5" else fifth)}
        return [t for t in range(root - 7, root + 8) if places <= set(range(t - 1, t + 6))]

    def levels(root, quality):  # of the basic space: root, fifth, triad
        named = [["1"], ["1", triad(quality)[1]], ["1", *triad(quality)]]
        return [{(7 * root + DEGREES[d][0]) % 12 for d in level} for level in named]

    def distance(root, from_tonic, to_tonic):
        i = abs(from_tonic - to_tonic)
        letters = root % 7
        j = min(letters, 7 - letters)
        k = sum(len(y - x) for x, y in zip(levels(root, qa), levels(0, qb)))
        diatonic = min(i, 5)  # new tones of that level: one a fifth; collections six fifths apart share two tones
        return i + j + k + diatonic

    return min(distance(root, f, t)
               for root in range(-18, 19) if 7 * root % 12 == delta
               for f, t in itertools.product(collections(root, qa), collections(0, qb)) if abs(f - t) <= 6)


def roughness(delta, qa, qb):
    """Sethares 1993, over the union of both chords in the octave from middle C (b's root): six partials of 0.88^n."""
    union = [60 + t for t in tones(delta, qa) | tones(0, qb)]
    partials = [(440 * 2 ** ((note - 69) / 12) * (n + 1), 0.88**n) for note in union for n in range(6)]
    total = 0
    for (f, a), (g, b) in itertools.combinations(partials, 2):
        s = 0.24 / (0.0207 * min(f, g) + 18.96) * abs(f - g)
        total += a * b * (math.exp(-3.5 * s) - math.exp(-5.75 * s))
    return total


DISTANCES = [common_tones, fifths, tonnetz, tonal_centroid, spiral, lerdahl, roughness]


def phi():
    """[distance][root_a - root_b][quality of a][quality of b]: mean 0 and variance 1 over real qualities, others 0."""
    table = np.zeros((len(DISTANCES), 12, VALUES, VALUES))
    for f, distance in enumerate(DISTANCES):
        raw = np.array([[[distance(d, a, b) for b in range(COUNT)] for a in range(COUNT)] for d in range(12)])
        table[f, :, :COUNT, :COUNT] = (raw - raw.mean()) / raw.std()
    return table
