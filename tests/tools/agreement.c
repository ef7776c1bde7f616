/* agreement.c -- two annotations of one piece compared by tests/accuracy/mir.h: what mir_eval is held against.
 *
 *   agreement chords REFERENCE ESTIMATE        rows of begin, end, label: one line a comparison, "name value"
 *   agreement beats|boundaries REFERENCE ESTIMATE   rows of seconds: F-measure within 0.07 s (after 5 s), within 0.5 s
 *   agreement key "C:maj" "A:min"              mir_eval's score, and MIREX's
 */
#include "accuracy/mir.h"

#include "core/file.h"
#include "core/music/pop909.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ct_status read_chords(const char *path, ct_arena *arena, mir_span **out, size_t *count) {
    ct_pop909_spans rows;
    CT_TRY(ct_pop909_read_spans(path, arena, &rows));
    *out = CT_NEW(arena, mir_span, rows.count);
    if (!*out) return CT_ENOMEM;
    for (*count = 0; *count < rows.count; ++*count) {
        const ct_pop909_span *s = &rows.at[*count];
        (*out)[*count] = (mir_span){.begin = s->begin, .end = s->end};
        CT_TRY(mir_chord_parse(s->label, &(*out)[*count].chord));
    }
    return CT_OK;
}

static ct_status chords(const char *reference, const char *estimate, ct_arena *arena) {
    mir_span *a, *b;
    size_t    n, m;
    CT_TRY(read_chords(reference, arena, &a, &n));
    CT_TRY(read_chords(estimate, arena, &b, &m));
    for (int how = 0; how < MIR_COMPARISONS; how++) {
        double total, right = mir_chord_seconds((enum mir_comparison)how, a, n, b, m, &total);
        printf("%s %.9f\n", mir_comparison_names[how], total > 0 ? right / total : 0);
    }
    return CT_OK;
}

static ct_status read_events(const char *path, double after, ct_arena *arena, double **out, size_t *count) {
    ct_bytes bytes;
    CT_TRY(ct_file_read(path, 0, arena, &bytes));
    *out = CT_NEW(arena, double, bytes.count + 1);
    if (!*out) return CT_ENOMEM;
    *count = 0;
    for (char *at = (char *)bytes.at, *end;; at = end) {
        double seconds = strtod(at, &end);
        if (end == at) return CT_OK;
        if (seconds >= after) (*out)[(*count)++] = seconds;
    }
}

static ct_status events(const char *reference, const char *estimate, double after, double window, ct_arena *arena) {
    double *a, *b;
    size_t  n, m;
    CT_TRY(read_events(reference, after, arena, &a, &n));
    CT_TRY(read_events(estimate, after, arena, &b, &m));
    printf("f_measure %.9f\n", mir_f_measure((double)mir_matched(a, n, b, m, window), (double)n, (double)m));
    return CT_OK;
}

static ct_status keys(const char *reference, const char *estimate) {
    int a = ct_key_parse(reference, strlen(reference)), b = ct_key_parse(estimate, strlen(estimate));
    if (a < 0 || b < 0) return ct_fail(CT_EFAIL, "not a key: %s", a < 0 ? reference : estimate);
    printf("weighted_score %.9f\nmirex %.9f\n", mir_key_score(a, b, false), mir_key_score(a, b, true));
    return CT_OK;
}

int main(int argc, char **argv) {
    ct_arena  arena = {0};
    ct_status status = CT_EUSAGE;
    if (argc == 4 && strcmp(argv[1], "chords") == 0)
        status = chords(argv[2], argv[3], &arena);
    else if (argc == 4 && strcmp(argv[1], "beats") == 0)
        status = events(argv[2], argv[3], 5, 0.07, &arena);
    else if (argc == 4 && strcmp(argv[1], "boundaries") == 0)
        status = events(argv[2], argv[3], 0, 0.5, &arena);
    else if (argc == 4 && strcmp(argv[1], "key") == 0)
        status = keys(argv[2], argv[3]);
    else
        ct_fail(status, "usage: agreement chords|beats|boundaries|key REFERENCE ESTIMATE");
    if (status != CT_OK) fprintf(stderr, "agreement: %s\n", ct_message());
    ct_arena_free(&arena);
    return (int)status;
}
