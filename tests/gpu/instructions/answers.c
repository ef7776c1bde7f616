/* answers.c -- see instructions.h. A line that names the format, one for the seed and one for the card; then for each
 * instruction a line "name words" and the words as they lie in memory (little end first). */
#include "instructions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT "cantus instructions 1"

static size_t words_of(int which) {
    return instruction_table[which].out * INSTRUCTION_ALL;
}

void answers_free(answers *a) {
    for (int i = 0; i < INSTRUCTION_COUNT; i++) free(a->of[i]);
    *a = (answers){0};
}

static ct_status room(answers *a) {
    for (int i = 0; i < INSTRUCTION_COUNT; i++) {
        a->of[i] = calloc(words_of(i), sizeof(uint32_t));
        if (!a->of[i]) return ct_fail(CT_ENOMEM, "out of memory");
    }
    return CT_OK;
}

ct_status answers_make(uint64_t seed, const char *card, instruction_runner run, answers *out) {
    *out = (answers){.seed = seed};
    snprintf(out->card, sizeof out->card, "%s", card);
    CT_TRY(room(out));
    for (int i = 0; i < INSTRUCTION_COUNT; i++) {
        uint32_t *in = malloc(instruction_table[i].in * INSTRUCTION_ALL * sizeof *in);
        if (!in) return ct_fail(CT_ENOMEM, "out of memory");
        instruction_operands((instruction)i, seed, in);
        const ct_status status = run((instruction)i, in, out->of[i]);
        free(in);
        if (status != CT_OK) return ct_context(status, "%s", instruction_table[i].name);
    }
    return CT_OK;
}

ct_status answers_write(const char *path, const answers *a) {
    FILE *file = fopen(path, "wbe");
    if (!file) return ct_fail(CT_EFAIL, "%s: can't create: %s", path, strerror(errno));
    fprintf(file, FORMAT "\nseed %" PRIu64 "\n%s\n", a->seed, a->card);
    for (int i = 0; i < INSTRUCTION_COUNT; i++) {
        fprintf(file, "%s %zu\n", instruction_table[i].name, words_of(i));
        fwrite(a->of[i], sizeof(uint32_t), words_of(i), file);
    }
    const bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed) return ct_fail(CT_EFAIL, "%s: can't write: %s", path, strerror(errno));
    return CT_OK;
}

/* A line without its end; false: there is none, or it is too long. */
static bool read_line(FILE *file, char *line, int size) {
    if (!fgets(line, size, file)) return false;
    const size_t length = strlen(line);
    if (!length || line[length - 1] != '\n') return false;
    line[length - 1] = 0;
    return true;
}

static ct_status read_all(FILE *file, const char *path, answers *out) {
    char line[sizeof out->card], wanted[sizeof line], *end = line;
    if (!read_line(file, line, sizeof line) || strcmp(line, FORMAT) != 0)
        return ct_fail(CT_EFAIL, "%s: no file of gpu/test_instructions of this version (" FORMAT ")", path);
    const bool seeded = read_line(file, line, sizeof line) && !strncmp(line, "seed ", 5);
    if (seeded) out->seed = strtoull(line + 5, &end, 10);
    if (!seeded || end == line + 5 || *end) return ct_fail(CT_EFAIL, "%s: expected a seed in line 2", path);
    if (!read_line(file, out->card, sizeof out->card))
        return ct_fail(CT_EFAIL, "%s: expected the card in line 3", path);
    CT_TRY(room(out));
    for (int i = 0; i < INSTRUCTION_COUNT; i++) {
        snprintf(wanted, sizeof wanted, "%s %zu", instruction_table[i].name, words_of(i));
        if (!read_line(file, line, sizeof line) || strcmp(line, wanted) != 0)
            return ct_fail(CT_EFAIL, "%s: expected the line \"%s\"", path, wanted);
        if (fread(out->of[i], sizeof(uint32_t), words_of(i), file) != words_of(i))
            return ct_fail(CT_EFAIL, "%s: ends within %s", path, instruction_table[i].name);
    }
    if (fgetc(file) != EOF) return ct_fail(CT_EFAIL, "%s: something stands behind its end", path);
    return CT_OK;
}

ct_status answers_read(const char *path, answers *out) {
    *out = (answers){0};
    FILE *file = fopen(path, "rbe");
    if (!file) return ct_fail(CT_EFAIL, "%s: can't open: %s", path, strerror(errno));
    const ct_status status = read_all(file, path, out);
    fclose(file);
    return status;
}
