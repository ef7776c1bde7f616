# experiments.sh -- configs that rest on others, many runs from one config, keys explained, fine-tuning, README's tables.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
T=$TMP
make_models 60
quick="train.steps=12 train.batch=4 train.log_every=1 train.valid_every=6 train.save_every=6 train.count_model=0 data.path=$T/data"

# ---- a matrix over a base over a base
cat > "$T/small.yaml" << EOF
base: $PWD/configs/demo-backbone.yaml
model: {layers: 1, width: 32, heads: 2, feed_forward: 64, tokens: 64}
EOF
cat > "$T/experiment.yaml" << EOF
base: small.yaml
train.out: $T/hrpe
matrix:
  rotation:
    plain: {model.rotary: [{by: index, share: 1}]}
    root: {}
  model.harmony.form: [off, table]
EOF
run() { "$CANTUS" train "$T/experiment.yaml" $quick "$@"; }
cat > "$T/list" << EOF
index  rotation  model.harmony.form  train.out
    1  plain     off                 $T/hrpe/001
    2  plain     table               $T/hrpe/002
    3  root      off                 $T/hrpe/003
    4  root      table               $T/hrpe/004
EOF
check '--list' bash -c '"$1" train "$0/experiment.yaml" --list | diff - "$0/list"' "$T" "$CANTUS"
check '--list makes nothing' test ! -e "$T/hrpe"
refuses 'no run chosen' 2 "experiment.yaml:4:3: matrix: 4 runs, and none was chosen (hint: --list shows them, --index N" run
refuses 'a run that is not there' 2 "there is no run 5; expected 1 to 4" run --index 5
refuses 'no number' 2 '--index: expected a whole number from 1 on, found "two"' run --index two
refuses 'a word for what the matrix sets' 2 "the matrix sets model.harmony.form" run --index 2 model.harmony.form=mlp
refuses '--index without a matrix' 2 "there is no matrix" "$CANTUS" train "$T/small.yaml" --index 1
refuses 'a matrix elsewhere' 2 "only a command with --index takes one" "$CANTUS" prepare "$T/experiment.yaml"
check 'nothing made yet' test ! -e "$T/hrpe"
check 'run 2' run --index 2
SLURM_ARRAY_TASK_ID=3; check 'run 3' run --index "$SLURM_ARRAY_TASK_ID"
check 'each in its folder' test "$(ls "$T/hrpe" | tr '\n' ' ')" = '002 003 '
refuses 'never overwrite a run' 1 "$T/hrpe/002 is there already; nothing was changed" run --index 2
check 'go on with it' run --index 2 train.resume=auto
check 'the command line is on record' grep -q -- '--index' "$T/hrpe/002/provenance.json"

# ---- the same by hand, and from the resolved config: the same weights
cat > "$T/hand.yaml" << EOF
data: {path: $T/data}
model:
  stage: backbone
  layers: 1
  width: 32
  heads: 2
  feed_forward: 64
  tokens: 64
  dropout: 0.1
  rotary: [{by: index, share: 1}]
  harmony: {form: table}
optimizer: {learning_rate: 3e-3, warmup: 30}
train: {out: $T/hand, steps: 12, batch: 4, log_every: 1, valid_every: 6, save_every: 6, count_model: 0}
EOF
same() { diff -r "$1/checkpoints" "$2/checkpoints" && diff "$1/metrics.jsonl" "$2/metrics.jsonl"; }
check 'by hand' "$CANTUS" train "$T/hand.yaml"
check 'the same weights' same "$T/hrpe/002" "$T/hand"
check 'the same resolved config' diff <(grep -v ' out:' "$T/hrpe/002/config.resolved.yaml") <(grep -v ' out:' "$T/hand/config.resolved.yaml")
check 'the resolved config is a plain one' bash -c '! grep -E "^(base|matrix)" "$0"' "$T/hrpe/002/config.resolved.yaml"
check 'and makes the run again' "$CANTUS" train "$T/hrpe/002/config.resolved.yaml" train.out="$T/again"
check 'with the same weights' same "$T/hrpe/002" "$T/again"
newest() { ls "$1"/checkpoints/last-*/model.safetensors | tail -1; }
check 'another run has others' bash -c '! cmp -s "$0" "$1"' "$(newest "$T/hrpe/002")" "$(newest "$T/hrpe/003")"

# ---- errors stand where they are, and nothing starts
printf 'base: small.yaml\nmodel.layers: 0\n' > "$T/a.yaml"
printf 'base: [a.yaml]\nmodel:\n  heads: two\n' > "$T/b.yaml"
refuses 'a value in a base' 2 "$T/a.yaml:2:15: model.layers: 0 is outside 1 to 256" "$CANTUS" train "$T/b.yaml"
refuses 'and one on top' 2 "$T/b.yaml:3:10: model.heads: expected a whole number" "$CANTUS" train "$T/b.yaml"
printf 'base: b.yaml\n' > "$T/a.yaml"
refuses 'a cycle' 2 "rests on itself: $T/b.yaml:1 -> $T/a.yaml:1 -> $T/b.yaml" "$CANTUS" train "$T/b.yaml"
printf 'base: c.yaml\n' > "$T/a.yaml"
refuses 'no such base' 2 "$T/a.yaml:1:7: base: can't open $T/c.yaml: No such file" "$CANTUS" train "$T/b.yaml"
sed 's/\[off, table\]/[off, tabel]/' "$T/experiment.yaml" > "$T/typed.yaml"
refuses 'a typing error in run 2 stops run 1' 2 "$T/typed.yaml:7:29: model.harmony.form: expected one of table|mlp|off" \
    "$CANTUS" train "$T/typed.yaml" --index 1

# ---- options and explained keys
refuses 'unknown option' 2 "unknown option --idx" run --idx 2
refuses 'explain an unknown key' 2 "unknown key train.step (did you mean train.steps?)" "$CANTUS" train --explain train.step
refuses 'explain what' 2 "--explain needs a value" "$CANTUS" train --explain
refuses 'no matrix to list' 2 "unknown option --list" "$CANTUS" doctor --list
explains() { # TEXT WORDS...
    local text=$1; shift; "$CANTUS" "$@" | grep -qxF -- "$text"
}
check 'explain a key' explains '  takes     whole number, 1 to 1000000000000' train --explain train.steps
check 'explain a folder' test "$("$CANTUS" train --explain model.harmony | grep -c '^model.harmony')" = 4
check 'explain: a base' explains "  set to    32, at $T/small.yaml:2:27" train "$T/experiment.yaml" --explain model.width
check 'explain: a word' explains "  set to    64, on the command line" train "$T/experiment.yaml" --explain=model.width model.width=64
check 'explain: a matrix' explains "  matrix    off, at $T/experiment.yaml:7:24" train "$T/experiment.yaml" --explain model.harmony.form
check 'explain: a run' explains "  set to    table, at $T/experiment.yaml:7:29" train "$T/experiment.yaml" --index 4 --explain model.harmony.form
for c in prepare generate; do check "$c explains, too" "$CANTUS" $c --explain output; done

# ---- the shipped experiment and fine-tuning
check 'the shipped experiment' bash -c '[ "$("$0" train configs/experiment-hrpe.yaml --list | wc -l)" = 13 ]' "$CANTUS"
tune() { # OUT WORDS...: small as the model of make_models
    local out=$1; shift
    "$CANTUS" train configs/finetune.yaml model.layers=1 model.width=32 model.heads=2 model.feed_forward=64 model.tokens=128 model.memory=128 \
        data.path="$T/data" train.steps=10 train.batch=8 train.valid_every=5 train.log_every=1 train.out="$T/$out" "$@"
}
loss() { grep -oE "\"$3\": [0-9.]+" "$T/$1/metrics.jsonl" | $2 -1 | grep -oE '[0-9.]+$'; } # RUN head|tail NAME
check 'fine-tuning' tune tuned train.init="$T/melody"
check 'from nothing' tune fresh train.init=
check 'starts where the model had come to, far from a fresh one' awk -v model="$(loss melody tail valid_loss)" -v tuned="$(loss tuned head loss)" \
    -v fresh="$(loss fresh head loss)" 'BEGIN { d = tuned - model; if (d < 0) d = -d; exit !(d < (fresh - model) / 4) }'
check 'and gets no worse' awk -v model="$(loss melody tail valid_loss)" -v tuned="$(loss tuned tail valid_loss)" 'BEGIN { exit !(tuned < model) }'
check 'a tenth of the learning rate' grep -qF 'learning_rate: 0.0002' "$T/tuned/config.resolved.yaml"
check 'the rest is the base'"'"'s' grep -qF 'stage: melody' "$T/tuned/config.resolved.yaml"
refuses 'nothing to start from' 1 'no such file or run folder' tune none train.init="$T/nothing"

# ---- README
check 'README has the keys of the program (make readme)' third_party/readme "$CANTUS" --check
check '--keys has every command with keys' bash -c 'for c in prepare train generate; do "$0" --keys | grep -qF "\`cantus $c\`" || exit 1; done' "$CANTUS"
finish
