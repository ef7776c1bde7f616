/* evaluate.c -- see evaluate.h. */
#include "infer/evaluate.h"

#include "core/log.h"
#include "models/checkpoints.h"

#include <stdio.h>
#include <string.h>

/* Does the stage have columns of this group? */
static bool has_group(const ct_stage_data *s, int group) {
    for (int c = 0; c < s->column_count; c++)
        if (s->columns[c].group == group) return true;
    return false;
}

static ct_status check_same_columns(const ct_model *m, const ct_stage_data *s, const char *path, const char *data) {
    bool same = m->column_count == s->column_count && m->vocabulary_size == s->vocabulary_size;
    for (int c = 0; same && c < s->column_count; c++)
        same = !strcmp(m->columns[c].name, s->columns[c].name) && m->columns[c].size == s->columns[c].size;
    for (int i = 0; same && i < s->vocabulary_size; i++) same = !strcmp(m->vocabulary[i], s->vocabulary[i]);
    return same ? CT_OK
                : ct_fail(CT_EFAIL, "%s: was trained on other columns or another vocabulary than %s has", path, data);
}

/* On a GPU: whose log p they are. */
static void tell_whose(const ct_comparison *c, const ct_device *on) {
    const char *by = NULL;
    double      apart = 0;
    if (!ct_device_apart(on)) return;
    for (int i = 0; i < c->count; i++) {
        if (!c->rival[i].scores.by) continue;
        by = c->rival[i].scores.by;
        apart = c->rival[i].scores.apart > apart ? c->rival[i].scores.apart : apart;
    }
    if (by)
        ct_log("log p by %s; losses by our own op differ by at most %.1e", by, apart);
    else if (on->log_softmax(NULL, NULL, 0, 0, &by) != CT_OK)
        ct_log("log p by our own op, without a second opinion: %s", ct_message());
}

static ct_status score_network(const ct_evaluate_config *config, const ct_dataset *d, ct_model *m, ct_comparison *c) {
    const int          stage = c->what.stage;
    ct_network         network;
    ct_network_options o = {.batch = config->batch,
                            .tokens = m->config.tokens,
                            .memory = m->config.memory,
                            .bf16 = config->on.precision == CT_PRECISION_BF16,
                            .check = ct_check_asked(&config->on, (uint64_t)config->seed)};
    CT_TRY(ct_device_open(&config->on, NULL, &o.device));
    ct_status status = ct_network_room(d, stage, &o);
    if (status == CT_OK) status = ct_network_make(m, &o, &network);
    if (status != CT_OK) {
        ct_device_close(o.device);
        return status;
    }
    ct_check_tell(&network.check);
    status = ct_comparison_network(c, &network, "model", 0);
    unsigned every = 0;
    int      groups = 0;
    char     name[32];
    for (int g = 1; g < CT_GROUP_COUNT && config->unknown && status == CT_OK; g++) {
        if (!has_group(&d->stage[stage], g)) continue;
        every |= 1u << g;
        groups++;
        snprintf(name, sizeof name, "%s unknown", ct_group_name(g));
        status = ct_comparison_network(c, &network, name, 1u << g);
        if (status == CT_OK) status = ct_stop_check();
    }
    if (status == CT_OK && groups > 1) status = ct_comparison_network(c, &network, "all of these unknown", every);
    if (status == CT_OK) tell_whose(c, o.device);
    if (status == CT_OK) ct_check_tell(&network.check);
    ct_network_free(&network);
    ct_device_close(o.device);
    return status;
}

static ct_status evaluate_stage(const ct_evaluate_config *config, const ct_dataset *d, int stage, ct_json *list) {
    const ct_held_out what = {
        .dataset = d, .stage = stage, .split = (ct_split)config->split, .songs = config->songs, .second = true};
    const char   *name = config->model[stage];
    ct_comparison c;
    ct_model      m = {0};
    char          path[4200];
    if (!d->stage[stage].present) return ct_fail(CT_EFAIL, "%s: has no %s rows", d->path, ct_stage_names[stage]);
    if (*name) {
        CT_TRY(ct_context(ct_model_find(name, path, sizeof path), "%s",
                          ct_config_where(stage ? "models.melody" : "models.backbone")));
        CT_TRY(ct_model_load(path, CT_F32, &m));
    }
    ct_comparison_begin(&c, &what, config->samples, (uint64_t)config->seed);
    ct_status status = CT_OK;
    if (*name && m.config.stage != stage)
        status = ct_fail(CT_EFAIL, "%s: is a %s model, not a %s model", path, ct_stage_names[m.config.stage],
                         ct_stage_names[stage]);
    if (status == CT_OK && *name) status = check_same_columns(&m, &d->stage[stage], path, d->path);
    if (status == CT_OK)
        status = ct_comparison_counts(
            &c, &(ct_count_options){
                    .least = 3, .most = (int)config->most_order, .cache = true, .songs = config->count_songs});
    if (status == CT_OK && *name) status = score_network(config, d, &m, &c);
    if (status == CT_OK && list) {
        ct_json *json = ct_comparison_json(&c);
        if (*name) ct_json_set(json, "model", ct_json_new_text(path));
        ct_json_add(list, json);
    } else if (status == CT_OK)
        ct_comparison_print(&c);
    ct_comparison_free(&c);
    ct_model_free(&m);
    return status;
}

ct_status ct_evaluate(const ct_evaluate_config *config, bool as_json) {
    ct_dataset d;
    const bool models = *config->model[0] || *config->model[1]; /* none: the count models of both stages */
    ct_json   *root = ct_json_new_object(), *stages = ct_json_new_array();
    ct_status  status = ct_dataset_open(config->data, &d);
    if (status == CT_OK) {
        int64_t songs = 0;
        for (int64_t i = 0; i < d.song_count; i++) songs += d.songs[i].split == (ct_split)config->split;
        if (!songs)
            status = ct_fail(CT_EFAIL, "%s: %s has no song in the split %s", ct_config_where("data.split"),
                             config->data, ct_split_names[config->split]);
        ct_json_set(root, "dataset", ct_json_new_text(config->data));
        ct_json_set(root, "dataset_sha256", ct_json_new_text(d.hash));
        for (int s = 0; s < CT_STAGES && status == CT_OK; s++)
            if (models ? *config->model[s] != 0 : d.stage[s].present)
                status = evaluate_stage(config, &d, s, as_json ? stages : NULL);
        ct_dataset_close(&d);
    }
    ct_json_set(root, "stages", stages);
    if (status == CT_OK && as_json) return ct_json_say(root);
    ct_json_free(root);
    return status;
}
