# agreement.sh -- the scores of `make accuracy` are mir_eval's own, to a millionth.
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
python=build/test-venv/bin/python
if ! $python -c 'import mir_eval' 2> /dev/null; then skip "no mir_eval (third_party/test-venv)"; finish; exit; fi
pop909=; [ -d ../shared/data/pop909 ] && pop909=../shared/data/pop909
$python tests/e2e/agreement.py "$BUILD_FOLDER/tools/agreement" "$TMP" $pop909 > "$TMP/said" 2> "$TMP/errors" || failed=$((failed + 1))
grep -v '^ok' "$TMP/said"; cat "$TMP/errors"
for kind in 'made-up chords' beats boundaries key; do
    check "$kind agree with mir_eval" eval "grep -q \"^ok $kind\" \"$TMP/said\" && ! grep -q \"^WRONG $kind\" \"$TMP/said\""
done
if [ -n "$pop909" ]; then check 'chord_midi against chord_audio agree with mir_eval' eval "grep -q '^ok chord_midi' '$TMP/said' && ! grep -q '^WRONG chord_midi' '$TMP/said'"
else skip 'no ../shared/data: real annotations are not compared'; fi
finish
