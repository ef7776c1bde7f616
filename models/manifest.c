/* manifest.c -- see manifest.h. */
#include "models/manifest.h"

#include <stdio.h>
#include <string.h>

enum { MANIFEST_MOST = 1 << 20 };
static const char name[] = "manifest.json";

/* Checksum of a manifest that has none in it. */
static ct_status seal(const ct_json *manifest, char hex[65]) {
    ct_arena arena = {0};
    char    *text = ct_json_print(manifest, 1, &arena);
    if (text) ct_sha256(text, strlen(text), hex);
    ct_arena_free(&arena);
    return text ? CT_OK : CT_ENOMEM;
}

ct_status ct_manifest_write(const char *folder, ct_json *facts, const ct_manifest_file *files, size_t count) {
    char     path[4096], hex[65];
    ct_json *list = ct_json_new_object();
    for (size_t i = 0; i < count; i++) {
        ct_json *about = ct_json_new_object();
        ct_json_set(about, "bytes", ct_json_new_integer((int64_t)files[i].digest.bytes));
        ct_json_set(about, "sha256", ct_json_new_text(files[i].digest.sha256));
        ct_json_set(list, files[i].name, about);
    }
    ct_json_set(facts, "files", list);
    ct_status status = seal(facts, hex);
    if (status != CT_OK) {
        ct_json_free(facts);
        return status;
    }
    ct_json_set(facts, "sha256", ct_json_new_text(hex));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return ct_json_write(path, facts);
}

bool ct_manifest_exists(const char *folder) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return ct_file_exists(path);
}

static ct_status check_file(const char *folder, const char *file, const ct_json *about) {
    char     path[4096], hex[65];
    ct_bytes bytes;
    if (!*file || strchr(file, '/') || *file == '.')
        return ct_fail(CT_EFAIL, "%s/%s: names \"%s\", which is no file of this folder", folder, name, file);
    snprintf(path, sizeof path, "%s/%s", folder, file);
    CT_TRY(ct_file_map(path, &bytes));
    int64_t   size = ct_json_integer(ct_json_get(about, "bytes"), -1);
    ct_status status = CT_OK;
    if (size < 0 || (uint64_t)size != bytes.count)
        status = ct_fail(CT_EFAIL, "%s: %zu bytes, %lld in the manifest", path, bytes.count, (long long)size);
    if (status == CT_OK) ct_sha256(bytes.at, bytes.count, hex);
    if (status == CT_OK && strcmp(hex, ct_json_text(ct_json_get(about, "sha256"), "")) != 0)
        status = ct_fail(CT_EFAIL, "%s: damaged: its checksum is not the one in the manifest", path);
    ct_file_unmap(&bytes);
    return status;
}

static ct_status check(const char *folder, const char *path, ct_json *manifest) {
    char           said[65], hex[65];
    const ct_json *files = ct_json_get(manifest, "files");
    const int64_t  format = ct_json_integer(ct_json_get(manifest, "format"), -1);
    if (format != CT_CHECKPOINT_FORMAT && format != CT_CHECKPOINT_OF_RANKS)
        return ct_fail(CT_EFAIL, "%s: checkpoint of format %lld, this program reads 1 to %d", path, (long long)format,
                       CT_CHECKPOINT_OF_RANKS);
    snprintf(said, sizeof said, "%s", ct_json_text(ct_json_get(manifest, "sha256"), ""));
    ct_json_remove(manifest, "sha256");
    CT_TRY(seal(manifest, hex));
    if (strcmp(said, hex) != 0) return ct_fail(CT_EFAIL, "%s: damaged: its own checksum is another", path);
    if (!ct_json_get(files, "model.safetensors")) return ct_fail(CT_EFAIL, "%s: names no model", path);
    const char *file;
    ct_json    *about;
    for (void *i = NULL; ct_json_next(files, &i, &file, &about);) CT_TRY(check_file(folder, file, about));
    return CT_OK;
}

ct_status ct_manifest_read(const char *folder, ct_json **out) {
    char     path[4096];
    ct_arena arena = {0};
    ct_bytes bytes;
    *out = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ct_status status = ct_file_read(path, MANIFEST_MOST, &arena, &bytes);
    if (status == CT_OK) status = ct_json_parse((const char *)bytes.at, bytes.count, path, out);
    if (status == CT_OK) status = check(folder, path, *out);
    ct_arena_free(&arena);
    if (status != CT_OK) {
        ct_json_free(*out);
        *out = NULL;
    }
    return status;
}
