/* fuzz_manifest.c -- manifests of checkpoints: the input is manifest.json in a folder that holds the files of a real
 * one. What is believed names files of this folder alone, and no other file is opened to find that out.
 *
 * An input is tried as it is, and once more with the right checksum of itself, which no mutation would hit. */
#include "models/checkpoints.h"
#include "tests/fuzz/fuzz.h"
#include "tests/watch_open.h"

static char folder[100], path[120];

static void begin(void) {
    static const char model[] = "weights", state[] = "moments";
    snprintf(folder, sizeof folder, "%s/last-0000000007", fuzz_folder());
    CT_ASSERT(ct_folder_make(folder) == CT_OK);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    fuzz_write(path, model, sizeof model - 1);
    snprintf(path, sizeof path, "%s/state.safetensors", folder);
    fuzz_write(path, state, sizeof state - 1);
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    ct_json_free(ct_json_new_object()); /* now, for the first one draws a seed from /dev/urandom */
}

static void verify(const void *bytes, size_t count) {
    ct_json    *manifest = NULL, *about;
    const char *file;
    fuzz_write(path, bytes, count);
    watch_below = folder;
    ct_status status = ct_checkpoint_verify(folder, &manifest);
    watch_below = NULL;
    CT_ASSERT((status == CT_OK) == (manifest != NULL));
    if (status != CT_OK) return;
    CT_ASSERT(ct_json_integer(ct_json_get(manifest, "step"), -1) == 7);
    for (void *i = NULL; ct_json_next(ct_json_get(manifest, "files"), &i, &file, &about);)
        CT_ASSERT(!strcmp(file, "model.safetensors") || !strcmp(file, "state.safetensors"));
    ct_json_free(manifest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ct_arena arena = {.cap = FUZZ_ARENA};
    ct_json *json;
    char     hex[65];
    if (!*folder) begin();
    verify(data, size);
    if (ct_json_parse((const char *)data, size, "input", &json) == CT_OK) {
        ct_json_remove(json, "sha256");
        char *text = ct_json_is_object(json) ? ct_json_print(json, 1, &arena) : NULL;
        if (text) {
            ct_sha256(text, strlen(text), hex);
            ct_json_set(json, "sha256", ct_json_new_text(hex));
            text = ct_json_print(json, 1, &arena);
        }
        if (text) verify(text, strlen(text));
        ct_json_free(json);
    }
    ct_arena_free(&arena);
    return 0;
}
