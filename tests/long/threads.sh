# threads.sh -- the program under ThreadSanitizer (clang, without OpenMP): prepare with workers, training of both stages with
# the thread that writes checkpoints, evaluate, generate; and each stopped by a signal, which a thread of its own takes.
. "$(dirname "$0")/../e2e/library.sh"
T=$TMP
if [ ! -x build/tsan/cantus ]; then skip 'no build/tsan/cantus (hint: make CC=clang PROFILE=tsan)'; finish; exit; fi
export TSAN_OPTIONS='halt_on_error=1 exitcode=66'
make_midi
mkdir "$T/many"
for i in $(seq 30); do for f in "$T"/midi/*.mid; do ln "$f" "$T/many/$i-$(basename "$f")"; done; done
# each becomes the program
prepare() { exec build/tsan/cantus prepare configs/demo-prepare.yaml workers=3 "$@"; }
train() { # STAGE WORDS...
    exec build/tsan/cantus train "configs/demo-$1.yaml" data.path="$T/data" train.out="$T/$1" train.resume=auto train.steps=40 train.save_every=1 train.log_every=1 \
        train.valid_every=8 train.valid_songs=2 model.layers=1 model.width=16 model.heads=2 model.feed_forward=32 model.tokens=32 "${@:2}"
}
evaluate() { exec build/tsan/cantus evaluate configs/evaluate.yaml data.path="$T/data" models.backbone="$T/backbone" models.melody="$T/melody"; }
generate() { exec build/tsan/cantus generate configs/demo-generate.yaml models.backbone="$T/backbone" models.melody="$T/melody" bars=4 accept.attempts=1 "$@"; }
whole() { ("$@"); }
stopped() { # SIGNAL CODE SIGN COMMAND...: the signal comes once the shell command SIGN succeeds; then the program exits with CODE
    "${@:4}" & local job=$!
    until eval "$3" 2> /dev/null; do [ -d /proc/$job ] || break; sleep 0.02; done
    kill "-$1" $job; wait $job
    [ $? -eq "$2" ]
}
check 'prepare' whole prepare input="$T/midi" output="$T/data"
check 'the dataset of the usual build' "$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output="$T/usual"
check 'has the same bytes' diff -r "$T/data" "$T/usual"
check 'prepare, Ctrl-C' stopped INT 130 "ls -d '$T'/once*.tmp" prepare input="$T/many" output="$T/once"
for stage in backbone melody; do
    check "train $stage, SIGTERM" stopped TERM 75 "grep -q 'step.: 3,' '$T/$stage/metrics.jsonl'" train $stage
    check "train $stage, Ctrl-C" stopped INT 130 "grep -q 'step.: 20,' '$T/$stage/metrics.jsonl'" train $stage
    check "train $stage to the end" whole train $stage
done
check 'evaluate' whole evaluate
check 'generate' whole generate output="$T/pieces"
check 'generate, Ctrl-C' stopped INT 130 "test -s '$T/stopped/manifest.jsonl'" generate output="$T/stopped" count=1000000 batch=1
finish
