"""An independent reader (mido) of generated pieces.

  read_midi.py pieces --bars N --key K --tempo T --meter N/D FILE...   what is wrong with each, a line a fault; exit 1 if any
  read_midi.py melody --bars N FILE                                    onset and pitch of the melody notes of the first bars
"""
import argparse
import sys

import mido


def notes_of(track):
    """(start, end, pitch) of a track in ticks, and what is wrong with its note events."""
    sounding, notes, faults, at = {}, [], [], 0
    for message in track:
        at += message.time
        if message.type == "note_on" and message.velocity:
            if message.note in sounding:
                faults.append(f"{track.name}: note {message.note} begins twice (tick {at})")
            sounding[message.note] = at
        elif message.type in ("note_on", "note_off"):
            if message.note not in sounding:
                faults.append(f"{track.name}: note {message.note} ends without having begun (tick {at})")
            else:
                notes.append((sounding.pop(message.note), at, message.note))
    faults += [f"{track.name}: note {n} never ends" for n in sounding]
    faults += [f"{track.name}: a note of no length at tick {a}" for a, b, _ in notes if b <= a]
    return sorted(notes), faults


def faults_of(path, bars, key, tempo, meter):
    midi = mido.MidiFile(path)
    names = [track.name for track in midi.tracks]
    if midi.type != 1 or names[1:] != ["melody", "chords", "bass"] or not names[0]:
        return [f"format {midi.type}, tracks {names}"]
    head, melody = midi.tracks[:2]
    numerator, denominator = map(int, meter.split("/"))
    end = bars * midi.ticks_per_beat * 4 * numerator // denominator
    faults, chords, at, ends = [], set(), 0, []
    said = {"set_tempo": [], "time_signature": [], "key_signature": []}
    for message in head:
        at += message.time
        if message.type in said:
            said[message.type].append((at, message))
        if message.type == "marker" and message.text == "||":
            ends.append(at)
        elif message.type == "marker" and not message.text.startswith("["):
            chords.add(message.text)
    if [(t, round(mido.tempo2bpm(m.tempo), 3)) for t, m in said["set_tempo"]] != [(0, tempo)]:
        faults.append(f"tempos {said['set_tempo']}")
    if [(t, m.numerator, m.denominator) for t, m in said["time_signature"]] != [(0, numerator, denominator)]:
        faults.append(f"time signatures {said['time_signature']}")
    if [(t, m.key) for t, m in said["key_signature"]] != [(0, key)]:
        faults.append(f"key signatures {said['key_signature']}")
    if ends != [end]:
        faults.append(f"end marks at {ends}, expected {end} ({bars} bars)")
    if len(chords - {"N.C."}) < 4:
        faults.append(f"{len(chords)} different chords")
    for track in midi.tracks[1:]:
        notes, wrong = notes_of(track)
        faults += wrong
        if not notes:
            faults.append(f"{track.name}: no notes")
        elif notes[-1][0] >= end or max(b for _, b, _ in notes) > end:
            faults.append(f"{track.name}: notes after the end")
        if track is melody and len(notes) < 20:
            faults.append(f"{len(notes)} melody notes")
        if track is melody and any(b > c for (_, b, _), (c, _, _) in zip(notes, notes[1:])):
            faults.append("melody notes overlap")
    for track in midi.tracks:
        if sum(message.time for message in track) > end:
            faults.append(f"{track.name}: longer than {bars} bars")
    return faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["pieces", "melody"])
    parser.add_argument("--bars", type=int, required=True)
    parser.add_argument("--key")
    parser.add_argument("--tempo", type=float)
    parser.add_argument("--meter", default="4/4")
    parser.add_argument("files", nargs="+")
    a = parser.parse_args()
    if a.what == "melody":
        midi = mido.MidiFile(a.files[0])
        notes, _ = notes_of(midi.tracks[1])
        for start, _, pitch in notes:
            if start < a.bars * 4 * midi.ticks_per_beat:
                print(start * 480 // midi.ticks_per_beat, pitch)
        return 0
    bad = 0
    for path in a.files:
        for fault in faults_of(path, a.bars, a.key, a.tempo, a.meter):
            print(f"{path}: {fault}")
            bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
