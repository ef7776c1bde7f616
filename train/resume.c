/* resume.c -- see resume.h. */
#include "train/resume.h"

#include "core/file.h"

#include <stdio.h>
#include <string.h>

static const char *const may_change[] = {
    "data.path",
    "train.out",
    "train.resume",
    "train.init",
    "train.steps",
    "train.minutes",
    "train.log_every",
    "train.save_every",
    "train.keep",
    "train.keep_every",
    "train.background",
    "train.valid_every",
    "train.patience",
    "train.valid_songs",
    "train.most_skipped",
    "train.count_model",
    "train.count_songs",
    "train.trace",
    "debug.faults",
    "device",
    "cuda.graph",
    "cuda.algorithms",
    "check.against",
    "check.share",
    "dist.timeout",
    "dist.bootstrap",
    "dist.bucket",
    "optimizer.shard",
    "gpu",
    "gpus",
    "net",
};

static bool must_stay(const ct_key *key) {
    for (size_t i = 0; i < CT_COUNT(may_change); i++)
        if (!strcmp(may_change[i], key->path)) return false;
    return true;
}

ct_status ct_resume_facts(const ct_train_config *config, const ct_dataset *dataset, ct_json **out) {
    ct_arena  arena = {0};
    char      hex[65], *lines = ct_arena_printf(&arena, "%s", "");
    ct_json  *root = ct_json_new_object(), *keys = ct_json_new_object();
    ct_status status = CT_OK;
    for (size_t i = 0; status == CT_OK && i < ct_train_schema.count; i++) {
        const ct_key *key = &ct_train_schema.keys[i];
        if (!must_stay(key)) continue;
        char *value = ct_config_value(key, config, &arena);
        lines = value && lines ? ct_arena_printf(&arena, "%s%s: %s\n", lines, key->path, value) : NULL;
        if (!lines) status = CT_ENOMEM;
        if (lines) ct_json_set(keys, key->path, ct_json_new_text(value));
    }
    if (status == CT_OK) ct_sha256(lines, strlen(lines), hex);
    if (status == CT_OK) ct_json_set(root, "config_sha256", ct_json_new_text(hex));
    ct_json_set(root, "dataset_sha256", ct_json_new_text(dataset->hash));
    ct_json_set(root, "config", keys);
    ct_arena_free(&arena);
    if (status == CT_OK)
        *out = root;
    else
        ct_json_free(root);
    return status;
}

static ct_status check_data(const ct_train_config *c, const ct_dataset *dataset, const ct_json *facts) {
    if (!strcmp(ct_json_text(ct_json_get(facts, "dataset_sha256"), ""), dataset->hash)) return CT_OK;
    return ct_fail(
        CT_EFAIL,
        "%s: %s is not the dataset that %s was begun with (hint: train.init=%s starts a new run from its weights)",
        ct_config_where("data.path"), c->data, c->out, c->out);
}

/* A key that the manifest doesn't know is younger: then the run had its default. */
static ct_status value_then(const ct_key *key, const ct_json *config, ct_arena *arena, const char **out) {
    const ct_schema one = {"train", key, 1};
    ct_train_config values;
    *out = ct_json_text(ct_json_get(config, key->path), NULL);
    if (*out) return CT_OK;
    CT_TRY(ct_config_read_text(&one, "", "default", arena, &values));
    *out = ct_config_value(key, &values, arena);
    return *out ? CT_OK : CT_ENOMEM;
}

ct_status ct_resume_check(const ct_train_config *c, const ct_dataset *dataset, const ct_json *manifest) {
    const ct_json *config = ct_json_get(manifest, "config");
    ct_arena       arena = {0};
    CT_TRY(check_data(c, dataset, manifest));
    ct_status status = CT_OK;
    for (size_t i = 0; status == CT_OK && i < ct_train_schema.count; i++) {
        const ct_key *key = &ct_train_schema.keys[i];
        const char   *then, *now;
        if (!must_stay(key)) continue;
        char *where = ct_arena_printf(&arena, "%s", ct_config_where(key->path)); /* before anything else is read */
        now = ct_config_value(key, c, &arena);
        status = where && now ? value_then(key, config, &arena, &then) : CT_ENOMEM;
        if (status == CT_OK && strcmp(now, then) != 0)
            status = ct_fail(CT_EFAIL,
                             "%s: %s, but %s was begun with %s, and that can't change on the way (hint: train.init=%s "
                             "starts a new run from its weights)",
                             where, now, c->out, then, c->out);
    }
    ct_arena_free(&arena);
    return status;
}

ct_status ct_resume_check_run(const ct_train_config *c, const ct_dataset *dataset) {
    char     path[4096];
    ct_arena arena = {0};
    ct_bytes bytes;
    ct_json *facts = NULL;
    snprintf(path, sizeof path, "%s/provenance.json", c->out);
    ct_status status = ct_file_read(path, 1 << 20, &arena, &bytes);
    if (status == CT_OK) status = ct_json_parse((const char *)bytes.at, bytes.count, path, &facts);
    if (status == CT_OK) status = check_data(c, dataset, facts);
    ct_json_free(facts);
    ct_arena_free(&arena);
    return status;
}
