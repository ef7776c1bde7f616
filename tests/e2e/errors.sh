# errors.sh -- bad input: each a message with place, value and hint, exit 2 or 1, nothing overwritten, nothing left behind.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
make_models 4
T=$TMP
printf 'input: %s\noutput: %s\nworkrs: 3\nseed: many\nseed: 2\nsplit: 4\n' "$T/midi" "$T/new" > "$T/bad.yaml"

printf 'models: {backbone: x}\noutput: y\n' > "$T/half.yaml"
printf 'input: a\noutput: b\nseed: many\n' > "$T/typed.yaml"

# config: unknown, duplicate and mistyped keys, all at once, with line and column
refuses 'unknown key' 2 "$T/bad.yaml:3:1: unknown key workrs (did you mean workers?)" "$CANTUS" prepare "$T/bad.yaml"
refuses 'mistyped value' 2 "$T/typed.yaml:3:7: seed: expected a whole number, found \"many\"" "$CANTUS" prepare "$T/typed.yaml"
refuses 'duplicate key' 2 "$T/bad.yaml:5:1: seed is given twice; first at line 4" "$CANTUS" prepare "$T/bad.yaml"
refuses 'value for a map' 2 "split: expected a map of keys" "$CANTUS" prepare "$T/bad.yaml"
refuses 'out of range' 2 "workers: 999 is outside 0 to 256" "$CANTUS" prepare configs/prepare.yaml workers=999
refuses 'unknown override' 2 "unknown key inpt (did you mean input?)" "$CANTUS" prepare configs/prepare.yaml inpt=x
refuses 'override without =' 2 "expected key=value" "$CANTUS" prepare configs/prepare.yaml workers
refuses 'no config' 2 "no config file given" "$CANTUS" prepare
refuses 'missing config' 2 "missing.yaml: can't open: No such file" "$CANTUS" train "$T/missing.yaml"
refuses 'missing key' 2 "models.melody is missing" "$CANTUS" generate "$T/half.yaml"
printf 'a: [1, 2\nb: }\n' > "$T/broken.yaml"
refuses 'not YAML' 2 "$T/broken.yaml:2:" "$CANTUS" prepare "$T/broken.yaml"
printf 'input: &a x\noutput: *a\n' > "$T/alias.yaml"
refuses 'alias' 2 "aliases (*name) are not supported" "$CANTUS" prepare "$T/alias.yaml"
refuses 'unknown command' 2 'unknown command "compse"' "$CANTUS" compse
refuses 'no command' 2 "cantus --help" "$CANTUS"

# prepare
refuses 'missing folder' 1 "no such folder" "$CANTUS" prepare configs/prepare.yaml input="$T/nowhere" output="$T/new"
mkdir "$T/empty"
refuses 'empty folder' 1 "no MIDI files in it" "$CANTUS" prepare configs/prepare.yaml input="$T/empty" output="$T/new"
mkdir "$T/junk"; echo hello > "$T/junk/a.mid"
refuses 'nothing usable' 1 "none of the 1 files can be used" "$CANTUS" prepare configs/prepare.yaml input="$T/junk" output="$T/new"
check 'nothing left behind' test ! -e "$T/new"
check 'no temporary folders' bash -c '! ls -d "$0"/new*.tmp 2>/dev/null' "$T"
cp -r "$T/data" "$T/kept"
refuses 'output is there' 1 "is there already; nothing was changed (hint: another output, or overwrite=true)" "$CANTUS" prepare configs/prepare.yaml input="$T/midi" output="$T/data"
check 'and unchanged' diff -r "$T/data" "$T/kept"
refuses 'never overwrite what is no dataset' 1 "is no dataset; it is not overwritten" "$CANTUS" prepare configs/prepare.yaml input="$T/midi" output="$T/midi" overwrite=true
check 'overwrite a dataset' "$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output="$T/kept" overwrite=true
check 'with the same bytes' diff -r "$T/data" "$T/kept"
check 'nothing of the old one is left' bash -c '! ls -d "$0"/kept.* 2>/dev/null' "$T"
check 'a slash behind the name' "$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output="$T/slash//"
check 'is the same name' diff -r "$T/data" "$T/slash"
refuses 'no output' 2 "output: a path of 1 to" "$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output=
refuses 'no room' 1 "File too large" bash -c 'ulimit -f 20; exec "$1" prepare configs/demo-prepare.yaml input="$0/midi" output="$0/full"' "$T" "$CANTUS"
check 'nothing left of it' bash -c '! ls -d "$0"/full* 2>/dev/null' "$T"

# datasets
train() { "$CANTUS" train configs/demo-backbone.yaml train.out="$T/run" "$@"; }
refuses 'no dataset' 1 "dataset.json is missing (hint: cantus prepare makes one)" train data.path="$T/midi"
cp -r "$T/data" "$T/other"; sed -i 's/"format": 1/"format": 99/' "$T/other/dataset.json"
refuses 'another version' 1 "dataset format 99, this program reads format 1 (hint: run cantus prepare again)" train data.path="$T/other"
cp -r "$T/data" "$T/cut"; truncate -s 3000 "$T/cut/backbone.npy"
refuses 'truncated rows' 1 "backbone.npy: truncated" train data.path="$T/cut"
cp -r "$T/data" "$T/wild"; printf '\xff\xff' | dd of="$T/wild/backbone.npy" bs=1 seek=128 conv=notrunc 2> /dev/null
refuses 'value outside its column' 1 "row 0, column token: 65535" train data.path="$T/wild"
cp -r "$T/data" "$T/songs"; sed -i '2s/\ttrain\t\|\tvalid\t/\tdev\t/' "$T/songs/songs.tsv"
refuses 'bad table of songs' 1 "songs.tsv:2: expected" train data.path="$T/songs"
check 'no run folder' test ! -e "$T/run"
check 'windows longer than all songs' train data.path="$T/data" train.steps=1 model.tokens=1024 train.out="$T/long"
"$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output="$T/unheld" split.valid=0 > /dev/null
check 'nothing held out' bash -c '"$1" train configs/demo-backbone.yaml train.steps=1 data.path="$0/unheld" train.out="$0/unheld.run" 2>&1 | grep -q "no song is held out"' "$T" "$CANTUS"
check 'then the last checkpoint is the model' generate models.backbone="$T/unheld.run" output="$T/unheld.out" count=1 bars=2 accept.attempts=1

# runs and checkpoints
refuses 'run folder is there' 1 "is there already; nothing was changed" train data.path="$T/data" train.out="$T/backbone"
"$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output="$T/elsewhere" seed=7 > /dev/null
resume() { train train.out="$T/backbone" train.resume=auto model.layers=1 model.width=32 model.heads=2 model.feed_forward=64 "$@"; }
refuses 'resume on other data' 1 "is not the dataset that" resume data.path="$T/elsewhere"
exec 9> "$T/backbone/lock"; flock 9
refuses 'two trainings into one folder' 1 "another process is training into this folder" resume data.path="$T/data"
exec 9>&-
refuses 'bad shape' 2 "model.heads: 5 does not divide model.width 96" train data.path="$T/data" model.heads=5
refuses 'missing model' 1 "no such file or run folder" generate models.backbone="$T/nothing" output="$T/new"
cp -r "$T/backbone" "$T/damaged"; f=$(ls "$T"/damaged/checkpoints/best*/model.safetensors); truncate -s 9999 "$f"
check 'a truncated checkpoint: the other one' bash -c '"$CANTUS" inspect "$0" 2> "$0.log" && grep -qF "$1: 9999 bytes" "$0.log" && grep -q "taking .*/last-" "$0.log"' "$T/damaged" "$f"
rm "$T"/damaged/checkpoints/last*/state.safetensors
refuses 'all damaged' 1 "none of the checkpoints last-* is valid" generate models.backbone="$T/damaged" output="$T/new"
cp "$(ls "$T"/backbone/checkpoints/best*/model.safetensors)" "$T/odd.safetensors"; LC_ALL=C sed -i 's/heads: 2/heads: 5/' "$T/odd.safetensors"
refuses 'model file of an odd shape' 1 "$T/odd.safetensors: model.heads: 5 does not divide model.width 32" generate models.backbone="$T/odd.safetensors" output="$T/new"
refuses 'models swapped' 1 "models.backbone: this is no backbone model" generate models.backbone="$T/melody" models.melody="$T/backbone" output="$T/new"
refuses 'init of another shape' 1 "the two models differ: tensor" train data.path="$T/data" train.init="$T/backbone"

# generation
printf 'title: X\n| C | Hm | G |\n' > "$T/bad.txt"
refuses 'unreadable sheet' 1 "$T/bad.txt:2:7:" generate lead="$T/bad.txt" output="$T/new"
refuses 'no such sheet' 1 "can't open" generate lead="$T/none.txt" output="$T/new"
refuses 'no key' 2 'key: "H" is no key' generate key=H output="$T/new"
refuses 'no metre' 2 'meter: "4/5" is none of' generate meter=4/5 output="$T/new"
refuses 'a metre beyond an int' 2 'meter: "4294967300/4" is none of' generate meter=4294967300/4 output="$T/new"
refuses 'too slow' 2 'tempo: 20 is below 30' generate tempo=20 output="$T/new"
refuses 'output is there' 1 "is there already; nothing was changed" generate output="$T/data"
echo hello > "$T/junk.mid"
refuses 'primer and key' 2 "a primer brings its own key and metre" generate primer="$T/junk.mid" key=C output="$T/new"
refuses 'primer that is no MIDI file' 1 "$T/junk.mid: " generate primer="$T/junk.mid" output="$T/new"
timeout --foreground --preserve-status -s INT 2 "$CANTUS" generate configs/demo-generate.yaml models.backbone="$T/backbone" \
    models.melody="$T/melody" output="$T/new" count=64 batch=64 bars=256 2> /dev/null
check 'Ctrl-C before the first batch is done' test $? = 130
check 'nothing made' test ! -e "$T/new"

# inspect
refuses 'inspect nothing' 2 "expected one file or folder" "$CANTUS" inspect
refuses 'inspect a missing file' 1 "can't open" "$CANTUS" inspect "$T/none.mid"
refuses 'inspect junk' 1 "$T/junk.mid: " "$CANTUS" inspect "$T/junk.mid"
refuses 'inspect a folder of something else' 1 "neither a dataset" "$CANTUS" inspect "$T/midi"
for c in prepare train generate inspect bench doctor; do check "$c --help" "$CANTUS" $c --help; done
finish
