/* judge_main.c -- gpu/judge, see instructions.h.
 *
 *   judge FILE                   are a card's results what the emulator's instructions allow? exit code 1: not all
 *   judge --write FILE [SEED]    writes such a file itself, as the card; linked with the interpreter of PTX, by that
 */
#include "instructions.h"
#include "tests/emulator/emulator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ct_status on_emulator(instruction which, const uint32_t *in, uint32_t *out) {
    const size_t to_bytes = instruction_table[which].in * INSTRUCTION_ALL * sizeof *in;
    const size_t from_bytes = instruction_table[which].out * INSTRUCTION_ALL * sizeof *out;
    uint32_t    *from = emulator_alloc(to_bytes), *to = emulator_alloc(from_bytes);
    emulator_write(from, in, to_bytes);
    ct_status status = instruction_launch(which, from, to, NULL);
    if (status == CT_OK) emulator_read(out, to, from_bytes);
    emulator_free(from);
    emulator_free(to);
    if (emulator_report_count()) status = ct_fail(CT_EFAIL, "%s", emulator_report(0));
    return status;
}

static int fails(answers *a) {
    fprintf(stderr, "judge: %s\n", ct_message());
    answers_free(a);
    return 2;
}

static int write_answers(const char *path, uint64_t seed) {
    answers a;
    if (answers_make(seed, emulator_front_end(0), on_emulator, &a) != CT_OK || answers_write(path, &a) != CT_OK)
        return fails(&a);
    answers_free(&a);
    return 0;
}

static int judge(const char *path) {
    answers card, own = {0};
    int     failed = 0;
    if (answers_read(path, &card) != CT_OK) return fails(&card);
    if (answers_make(card.seed, "", on_emulator, &own) != CT_OK) {
        answers_free(&card);
        return fails(&own);
    }
    printf("%s, seed %llu\n", card.card, (unsigned long long)card.seed);
    for (int i = 0; i < INSTRUCTION_COUNT; i++) {
        uint32_t *in = malloc(instruction_table[i].in * INSTRUCTION_ALL * sizeof *in);
        if (!in) abort();
        instruction_operands((instruction)i, card.seed, in);
        const verdict v = instruction_judge((instruction)i, in, card.of[i], own.of[i]);
        free(in);
        printf("    %-20s %7lld results, ", instruction_table[i].name, (long long)v.results);
        if (v.worst > 0)
            printf("within %.2f of the bound", v.worst);
        else
            printf("the same bits");
        if (v.wrong) printf("; %lld are WRONG\nerror: %s", (long long)v.wrong, v.first);
        printf("\n%s %s\n", v.wrong ? "[  FAILED  ]" : "[       OK ]", instruction_table[i].name);
        failed += v.wrong > 0;
    }
    answers_free(&card);
    answers_free(&own);
    return failed > 0;
}

int main(int argc, char **argv) {
    emulator_use_front_end(0);
    if (argc == 2 && argv[1][0] != '-') return judge(argv[1]);
    if ((argc == 3 || argc == 4) && !strcmp(argv[1], "--write"))
        return write_answers(argv[2], argc == 4 ? strtoull(argv[3], NULL, 10) : 1);
    fprintf(stderr, "usage: judge FILE | judge --write FILE [SEED]\n");
    return 2;
}
