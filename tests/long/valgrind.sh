# valgrind.sh -- every command under memcheck, from MIDI to MIDI: no wrong access, no use of what was never set, nothing lost,
# no file left open. Two minutes. valgrind knows no AVX-512 (so CANTUS_ISA) and nothing of code that is made while it runs:
# oneDNN's reads 32 bytes past a block of its own, so our loops multiply (CANTUS_GEMM=own).
. "$(dirname "$0")/../e2e/library.sh"
T=$TMP
if ! command -v valgrind > /dev/null; then skip 'no valgrind (package valgrind)'; finish; exit; fi
export CANTUS_GEMM=own CANTUS_ISA=base OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive # the last, or the program starts over with it
mkdir -p "$T/midi" "$T/logs"
for f in amazing_grace can_can jingle_bells aura_lee; do abc2midi tests/data/tunes/$f.abc -quiet -o "$T/midi/$f.mid" > /dev/null; done
head -c 300 "$T/midi/can_can.mid" > "$T/midi/cut.mid"; echo 'no music' > "$T/midi/junk.mid"
# glibc's loader looks for $ORIGIN eight bytes at a time, past the end of a library's path
printf '{\n  loader\n  Memcheck:Addr8\n  fun:strncmp\n  fun:is_dst\n}\n' > "$T/known"
# clean CODE COMMAND...: exits with CODE; memcheck finds nothing, in no process, and no file is open at the end but what was before
clean() {
    local code=$1 got; shift
    rm -f "$T"/logs/*
    valgrind -q --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite --track-fds=yes --suppressions="$T/known" \
        --log-file="$T/logs/%p" "$CANTUS" "$@"
    got=$?
    [ $got -eq "$code" ] || { echo "exit $got"; return 1; }
    sed -E 's/^==[0-9]+== ?//' "$T"/logs/* | awk '
        /^FILE DESCRIPTORS/ {processes++; next}
        /^Open / {name = $0; next}
        /<inherited from parent>/ {name = ""; next}
        NF {if (name) print name; name = ""; print; bad = 1}
        END {if (!processes) print "no process was watched"; exit bad || !processes}'
}
train() { # STAGE WORDS...
    local stage=$1; shift
    clean 0 train "configs/demo-$stage.yaml" data.path="$T/data" train.out="$T/$stage" train.steps=4 train.save_every=2 train.log_every=1 train.valid_every=2 \
        train.valid_songs=1 train.batch=2 model.layers=1 model.width=16 model.heads=2 model.feed_forward=32 model.tokens=32 "$@"
}
models="models.backbone=$T/backbone models.melody=$T/melody"
check 'prepare' clean 0 prepare configs/demo-prepare.yaml input="$T/midi" output="$T/data" workers=2 split.valid=0.3
check 'train stage 1, the count models beside it' train backbone train.count_model=3
check 'train stage 2, with memory' train melody model.memory=32 train.count_model=0 optimizer.final_share=1
check 'resume' train melody model.memory=32 train.count_model=0 train.steps=6 train.resume=auto optimizer.final_share=1
check 'fine-tune' train melody model.memory=32 train.count_model=0 train.init="$T/melody" train.out="$T/tuned"
check 'plan' clean 0 plan configs/demo-melody.yaml data.path="$T/data"
check 'evaluate' clean 0 evaluate configs/evaluate.yaml data.path="$T/data" $models counts.order=3 interval.samples=20
check 'generate' clean 0 generate configs/demo-generate.yaml $models output="$T/pieces" bars=2 count=2 accept.attempts=2
printf '| C | Am | F | G7 |\n' > "$T/chart.txt"
check 'generate over a lead sheet' clean 0 generate configs/demo-generate.yaml $models output="$T/led" lead="$T/chart.txt" count=1 accept.attempts=1
check 'generate from a primer' clean 0 generate configs/demo-generate.yaml $models output="$T/primed" primer="$T/midi/can_can.mid" primer_bars=2 bars=4 count=1 accept.attempts=1
for what in midi/can_can.mid midi/cut.mid pieces/piece-0001.mid pieces/piece-0001.txt data backbone melody; do check "inspect $what" clean 0 inspect "$T/$what"; done
check 'inspect --json' clean 0 inspect "$T/data" --json
check 'refused: no MIDI file' clean 1 inspect "$T/midi/junk.mid"
check 'refused: a key' clean 2 generate configs/demo-generate.yaml $models output="$T/none" kye=C
check 'refused: no dataset' clean 1 train configs/demo-melody.yaml data.path="$T/midi" train.out="$T/none"
check 'doctor' clean 0 doctor
export CANTUS_ISA=avx2
if "$CANTUS" doctor 2>&1 | grep -q 'does not have it'; then skip 'no AVX2 here'
else check 'with AVX2: train stage 2' train melody model.memory=32 train.count_model=0 train.out="$T/avx2" train.steps=2; fi
finish
