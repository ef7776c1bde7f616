# checkpoints.sh -- damaged, half written, left behind by a full disk: a run goes back to the newest valid checkpoint, says
# so, and ends with the bytes of the undisturbed run.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
T=$TMP
make_midi
"$CANTUS" prepare configs/demo-prepare.yaml input="$T/midi" output="$T/data" > /dev/null
start() { # RUN WORDS...: becomes the program
    local run=$1; shift
    exec "$CANTUS" train configs/demo-melody.yaml data.path="$T/data" train.out="$T/$run" train.resume=auto model.layers=1 model.width=32 model.heads=2 model.feed_forward=64 \
        model.tokens=64 model.memory=64 train.steps=60 train.batch=4 train.log_every=4 train.valid_every=20 train.valid_songs=3 train.save_every=10 train.count_model=0 "$@"
}
train() { (start "$@" 2> "$T/$1.log"); }
same_runs() { # all that a run leaves, but for provenance and names
    local f
    for f in metrics.jsonl metrics.csv held-out.json checkpoints; do diff -r "$T/$1/$f" "$T/$2/$f" || return 1; done
}
last=checkpoints/last-0000000060
check 'an undisturbed run' train whole
check 'in the foreground' train fore train.background=false
check 'the same bytes' same_runs whole fore
sums() { sed -n 's/.*"\(.*[.]safetensors\)".*/\1/p; s/.*"sha256": "\(.*\)".*/\1/p' manifest.json | head -4 | paste - - | awk '{print $2 "  " $1}'; }
check 'the checksums are what sha256sum says' bash -c "$(declare -f sums); cd '$T/whole/$last' && sums && sums | sha256sum -c"
check 'keep 1, every 20th' train sparse train.keep=1 train.keep_every=20
check 'leaves 20, 40, 60' test "$(cd "$T/sparse/checkpoints" && echo last-*)" = 'last-0000000020 last-0000000040 last-0000000060'
check 'the same numbers' diff "$T/whole/$last/state.safetensors" "$T/sparse/$last/state.safetensors"

# ---- damage
flip() { printf '\377' | dd of="$1" bs=1 seek=$(($(stat -c %s "$1") / 2)) conv=notrunc 2> /dev/null; }
empty() { : > "$1"; }
cut() { truncate -s -1 "$1"; }
garbage() { head -c 300 /dev/urandom > "$1"; }
version() { sed -i 's/"format": 2/"format": 3/' "$1"; }
outside() { sed -i 's#"state.safetensors"#"../last-0000000050/state.safetensors"#' "$1"; }
damaged() { # HOW FILE: goes back, says so, leaves no trace
    local f=$T/hurt/$last/$2
    rm -rf "$T/hurt"; cp -r "$T/whole" "$T/hurt"; $1 "$f"
    train hurt || return 1
    grep -q "^warning: $T/hurt/$last/.*" "$T/hurt.log" && grep -q "going back to $T/hurt/checkpoints/last-0000000050" "$T/hurt.log" && grep -q "resuming from .*-0000000050" "$T/hurt.log" &&
        same_runs whole hurt
}
for f in model.safetensors state.safetensors manifest.json; do
    for how in flip empty cut rm; do check "$how $f" damaged $how $f; done
done
for how in garbage version outside; do check "manifest: $how" damaged $how manifest.json; done
cp -r "$T/whole" "$T/best"; flip "$(ls "$T"/best/checkpoints/best-*/model.safetensors | tail -1)"
rm -rf "$T/best/$last"
check 'a best one from the undone future is not asked' train best
check 'and made again' same_runs whole best
cp -r "$T/whole" "$T/lost"
for f in "$T"/lost/checkpoints/last-*/state.safetensors; do cut "$f"; done
cp -r "$T/lost" "$T/kept"
refuses 'all are damaged' 1 "none of the checkpoints last-* is valid (2 found, newest last-0000000060)" bash -c "$(declare -f start); T='$T'; start lost"
check 'nothing is lost' diff -r "$T/lost" "$T/kept"
cp -r "$T/whole" "$T/dry"; rm "$T/dry/$last/manifest.json"
check 'a dry run tells where it would go on' bash -c "$(declare -f start); T='$T'; start dry --dry-run | grep 'would go on from .*/last-0000000050'"
check 'and touches nothing' test -e "$T/dry/$last"

# ---- no room for the next one
check 'begun' bash -c "$(declare -f start); T='$T'; start full train.steps=20 optimizer.final_share=1"
check 'whole, to compare' train level optimizer.final_share=1
cp -r "$T/full" "$T/full0"
refuses 'no room, in the background' 1 'File too large' bash -c "$(declare -f start); T='$T'; ulimit -f 200; start full optimizer.final_share=1"
check 'the old checkpoints are intact' diff -r "$T/full/$(cd "$T/full0"; echo checkpoints/last-*20)" "$T/full0/$(cd "$T/full0"; echo checkpoints/last-*20)"
check 'nothing half written' bash -c '! ls -d "$0"/full/checkpoints/*.tmp 2> /dev/null' "$T"
check 'on when there is room' train full optimizer.final_share=1
check 'and no trace' same_runs level full
mkdir "$T/disk"
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=1500k tmpfs "$T/disk" 2> /dev/null; then
    check 'room for all' train room train.keep=9
    trap 'umount "$T/disk"' EXIT
    refuses 'a disk that fills up' 1 'No space left' bash -c "$(declare -f start); T='$T'; start disk/run train.keep=9"
    check 'what was written before is intact' bash -c 'cd "$0"/disk/run/checkpoints && for c in last-*; do diff -r $c "$1"/$c || exit 1; done' "$T" "$T/room/checkpoints"
else skip 'no small disk can be mounted here'; fi
finish
