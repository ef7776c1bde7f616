# invariance.sh -- 200 pieces whose length the models choose, in batches of 1, 3, 16 and 200, on 1 and 2 threads, with the
# machine's own instruction set and with AVX2: each piece has the bytes that it has when it is written alone.
. "$(dirname "$0")/../e2e/library.sh"
make_models 60
T=$TMP
write() { # NAME BATCH THREADS ISA
    CANTUS_ISA=$4 OMP_NUM_THREADS=$3 generate output="$T/$1" count=200 bars=0 batch="$2" > "$T/out.log" 2> "$T/err.log"
}
same_pieces() { # every file of both stages, and the manifest, but for the names of the models
    local f
    [ "$(ls "$1" | wc -l)" = 401 ] && [ "$(ls "$2" | wc -l)" = 401 ] || return 1
    for f in "$1"/*; do cmp "$f" "$2/$(basename "$f")" || return 1; done
}
lengths() { for f in "$1"/*.txt; do grep -o '|' "$f" | wc -l; done | sort -u | wc -l; }
for isa in '' avx2; do
    name=${isa:-native}
    if [ -n "$isa" ] && CANTUS_ISA=$isa "$CANTUS" doctor 2>&1 | grep -q 'does not have it'; then skip "no $isa here"; continue; fi
    check "$name: one by one, 1 thread" write "$name-alone" 1 1 "$isa"
    check "$name: pieces of many lengths: $(lengths "$T/$name-alone")" test "$(lengths "$T/$name-alone")" -ge 10
    for threads in 1 2; do
        for batch in 1 3 16 200; do
            [ $batch.$threads = 1.1 ] && continue
            check "$name: batch $batch, $threads threads" write "$name-$batch-$threads" $batch $threads "$isa"
            check "$name: batch $batch, $threads threads: the same bytes" same_pieces "$T/$name-alone" "$T/$name-$batch-$threads"
            rm -rf "$T/$name-$batch-$threads"
        done
    done
done
finish
