# limits.sh -- prepare and what goes wrong beside it: files too large for the memory allowed, workers that hang, die or are
# stopped. Each costs the file that was being read, with its reason, and nothing else.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
T=$TMP
make_midi
mkdir "$T/many" # as many songs: a byte behind a file makes another of it
for f in "$T"/midi/*.mid; do for i in $(seq 10 19); do cp "$f" "$T/many/$i-$(basename "$f")"; printf '%s' "$i" >> "$T/many/$i-$(basename "$f")"; done; done
start() { # OUTPUT WORDS...: becomes the program
    exec "$CANTUS" prepare configs/demo-prepare.yaml input="$T/${input:-many}" output="$T/$1" workers=2 duplicates.share=0 "${@:2}" > "$T/$1.said" 2>&1
}
prepare() { (start "$@"); }
# begin OUTPUT WORDS...: in the background, as $job; returns once both workers, $a and $b, are there and have seen to their
# limits, which they do before they read
begin() {
    start "$@" & job=$!
    until read -r a b <<< "$(awk -v parent=$job '$4 == parent {printf "%s ", $1}' /proc/[0-9]*/stat 2> /dev/null)" && [ -n "$b" ]; do
        [ -d /proc/$job ] || return 1
    done
    for p in "$a" "$b"; do while grep -qs '^Max data size *unlimited' "/proc/$p/limits"; do sleep 0.01; done; done
}
gone() { # PIDS: none of them is there within five seconds, but for what init has yet to clear away
    local p
    for p in $1; do for _ in $(seq 100); do grep -qs '^[0-9]* (cantus) [^Z]' "/proc/$p/stat" || continue 2; sleep 0.05; done; return 1; done
}
# but_one OUTPUT REASON: the outcomes of the undisturbed run, but for one file that was left out for that reason
but_one() {
    diff "$T/whole/outcomes.tsv" "$T/$1/outcomes.tsv" | grep '^[<>]' > "$T/differ"
    cat "$T/differ"
    [ "$(wc -l < "$T/differ")" = 2 ] && grep -qF "left out	$2" "$T/differ"
}
check 'undisturbed' prepare whole

# ---- a worker that hangs, as one that is stopped does; one that is killed
begin hangs limit.seconds=3; kill -STOP "$a"; wait $job
check 'a file that takes too long does no harm' test $? = 0
check 'it is left out, nothing else' but_one hangs 'took too long: more than 3 s, limit.seconds'
check 'and counted' grep -q 'left out     1: took too long$' "$T/hangs.said"
check 'its worker is gone' gone "$a"
begin killed; kill -STOP "$a"; sleep 0.2; kill -KILL "$a"; wait $job
check 'a worker that dies does no harm' test $? = 0
check 'its file is left out, nothing else' but_one killed 'reading it ended its worker process (signal 9, Killed)'
begin idle; kill -STOP "$a" # the other is then as far ahead as it may be, and waits
for i in 1 2 3; do until before=$after; after=$(cut -d' ' -f14,15 /proc/$b/stat); [ "$before" = "$after" ]; do sleep 0.3; done; done
kill -KILL "$b"; sleep 0.2; kill -CONT "$a"; wait $job
check 'one that dies between two files costs none' diff -r "$T/whole" "$T/idle"
begin paused limit.seconds=1; kill -STOP $job "$a" "$b"; sleep 2.5; kill -CONT "$a" "$b" $job; wait $job
check 'Ctrl-Z takes no time' diff -r "$T/whole" "$T/paused"
begin orphans; kill -STOP "$a" "$b"; kill -KILL $job; wait $job 2> /dev/null
check 'no worker survives' gone "$a $b"

# ---- memory: what the key allows, and the system's limit for what is allocated elsewhere
begin limited limit.megabytes=100; kill -STOP $job
bytes=$(awk '/^Max data size/ {print $4}' "/proc/$a/limits"); kill -CONT $job; wait $job
check "a worker is held to its memory ($bytes)" test "$bytes" -gt $((356 << 20)) -a "$bytes" -lt $((456 << 20))
input=midi
check 'the tunes alone' prepare few
python3 - "$T/midi" <<'END'
import sys
def write(name, track):
    track += b"\0\xff\x2f\0"
    open(f"{sys.argv[1]}/{name}", "wb").write(b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk" + len(track).to_bytes(4, "big") + track)
write("notes.mid", bytes((0, 0x90, 60, 90, 12, 0x80, 60, 90)) * 200000)
write("texts.mid", (b"\1\xff\5\x3b" + b"x" * 59) * (1 << 20))  # what takes libsmf most memory
END
check 'with files that need much memory' prepare much limit.megabytes=16
reason() { [ "$(awk -F'\t' -v f="$2" '$1 == f {print $2 ": " $3}' "$T/$1/outcomes.tsv")" = "left out: $3" ]; }
check 'too many notes' reason much notes.mid 'needs more memory than allowed: 16 MiB'
check 'too many texts' reason much texts.mid 'needs more memory than allowed: 16 MiB'
check 'nothing else is left out' diff "$T/few/songs.tsv" "$T/much/songs.tsv"
check 'as they are read without a limit' prepare usual
check 'many notes' bash -c '! grep -P "^notes.mid\tleft out\t(needs more|reading it)" "$0"' "$T/usual/outcomes.tsv"
check 'many texts' reason usual texts.mid 'no notes'
finish
