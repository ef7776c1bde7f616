# flat.sh -- 10,000 training steps, with validation, metrics and checkpoints; 10,000 pieces from one process; 10,000 files
# through two workers: open files and memory stay what they are after a fifth of the way. About two minutes.
. "$(dirname "$0")/../e2e/library.sh"
T=$TMP
make_midi
mkdir "$T/many" # a byte behind a file makes another of it
for f in "$T"/midi/*.mid; do for i in $(seq 1000 1208); do cp "$f" "$T/many/$i-${f##*/}"; printf '%s' "$i" >> "$T/many/$i-${f##*/}"; done; done
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive # the last, or the program starts over with it
sample() { # PID FILE: open files, memory in RAM and address space for data, both in kB, until it ends
    local files
    while files=(/proc/$1/fd/*) && echo "${#files[@]} $(awk '/^RssAnon|^VmData/ {printf "%s ", $2}' /proc/$1/status)" && [ -e "${files[0]}" ]; do sleep 0.05; done 2> /dev/null | awk 'NF == 3' > "$2"
}
# flat FILE [FIGURES]: the least of each in the last fifth of the samples against the least in the second fifth. Not one open file
# more; in RAM less than 64 kB: it is 0 to 16, and 84 when each step keeps one block of 32 bytes (holes in the heap take the rest);
# of data less than 192 kB: the heap grows by 132 at once. More of either is a leak when it comes in every fifth; a piece that needs
# more room than those before comes once.
flat() {
    awk -v what="$(basename "$1")" -v only="${2:-3}" '
        {n = NR; for (i = 1; i <= 3; i++) v[n, i] = $i}
        function least(from, to, i,   k, m) {for (k = int(from * n) + 1; k <= to * n; k++) if (m == "" || v[k, i] < m) m = v[k, i]; return m}
        END {
            split("open files,kB in RAM,kB of data", name, ","); split("1 64 192", more, " ")
            bad = n < 50
            printf "%s: %d samples", what, n
            for (i = 1; i <= only; i++) {
                a = least(0.2, 0.4, i); b = least(0.8, 1, i); steady = 1
                for (k = 1; i > 1 && k < 4; k++) if (least(0.2 * k + 0.2, 0.2 * k + 0.4, i) < least(0.2 * k, 0.2 * k + 0.2, i) + more[i] / 8) steady = 0
                bad = bad || b >= a + more[i] && steady
                printf "; %s %d, then %d", name[i], a, b
            }
            print ""
            exit bad
        }' "$1" | tee -a "$T/figures"
    return "${PIPESTATUS[0]}"
}
train() { # STAGE WORDS...
    local stage=$1; shift
    exec "$CANTUS" train "configs/demo-$stage.yaml" data.path="$T/data" train.out="$T/$stage" model.layers=1 model.width=16 model.heads=2 model.feed_forward=32 \
        model.tokens=32 train.batch=2 train.accumulate=2 train.count_model=0 train.patience=0 train.valid_songs=2 "$@" > "$T/said" 2>&1
}
"$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output="$T/data" > /dev/null
(train backbone train.steps=200)

train melody model.memory=32 train.steps=10000 train.log_every=10 train.valid_every=200 train.save_every=50 & job=$!
sample $job "$T/training"; wait $job
check 'training ended well' test $? = 0
check 'after 10,000 steps' test -e "$T/melody/checkpoints/last-0000010000/state.safetensors"
check 'training is flat' flat "$T/training"

"$CANTUS" generate configs/demo-generate.yaml models.backbone="$T/backbone" models.melody="$T/melody" output="$T/pieces" count=10000 bars=2 accept.attempts=1 > "$T/said" & job=$!
sample $job "$T/generating"; wait $job
check 'generating ended well' test $? = 0
check 'after 10,000 pieces' test "$(wc -l < "$T/pieces/manifest.jsonl")" = 10000
check 'generating is flat' flat "$T/generating"

"$CANTUS" prepare configs/demo-prepare.yaml input="$T/many" output="$T/much" workers=2 duplicates.share=0 > "$T/said" & job=$!
until worker=$(awk -v parent=$job '$4 == parent {print $1; exit}' /proc/[0-9]*/stat 2> /dev/null) && [ -n "$worker" ]; do [ -d /proc/$job ] || break; done
sample $worker "$T/worker" & sample $job "$T/preparing"; wait $job
check 'preparing ended well' test $? = 0
check 'after 10,000 files' test "$(wc -l < "$T/much/outcomes.tsv")" -gt 10000
check 'a worker is flat' flat "$T/worker"
check 'preparing is flat in open files (it keeps 2 kB a file)' flat "$T/preparing" 1
cat "$T/figures"
finish
