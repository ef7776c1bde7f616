/* main.c -- the program: a table of commands, each an extern of its folder. Only here does anything exit. */
#include "core/command.h"
#include "core/log.h"
#include "core/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const ct_command ct_command_prepare, ct_command_train, ct_command_plan, ct_command_generate, ct_command_evaluate,
    ct_command_inspect, ct_command_bench, ct_command_doctor;

static const ct_command *const commands[] = {&ct_command_prepare,  &ct_command_train,    &ct_command_plan,
                                             &ct_command_generate, &ct_command_evaluate, &ct_command_inspect,
                                             &ct_command_bench,    &ct_command_doctor};

static void print_help(void) {
    printf("Cantus learns to compose from MIDI files and writes new ones.\n\n");
    for (size_t i = 0; i < CT_COUNT(commands); i++)
        printf("  cantus %-9s %-33s %s\n", commands[i]->name, commands[i]->usage, commands[i]->summary);
    printf("\n  cantus COMMAND --help        its options and config keys\n"
           "  cantus --keys                all config keys, in Markdown\n  cantus --version             build facts\n\n"
           "Exit codes: 0 fine, 1 failed, 2 wrong usage, 75 stopped on request (start it again), 130 Ctrl-C.\n");
}

/* The tables of config keys in README; commands that share one stand in one heading. */
static void print_keys(void) {
    for (size_t i = 0; i < CT_COUNT(commands); i++) {
        const ct_schema *schema = commands[i]->schema;
        bool             done = !schema;
        for (size_t k = 0; k < i; k++) done = done || commands[k]->schema == schema;
        if (done) continue;
        printf("\n**`cantus %s`**", commands[i]->name);
        for (size_t k = i + 1; k < CT_COUNT(commands); k++)
            if (commands[k]->schema == schema) printf(", **`cantus %s`**", commands[k]->name);
        printf("\n\n");
        ct_config_markdown(schema, stdout);
    }
}

static int exit_code(ct_status status) {
    if (status == CT_OK) return 0;
    fprintf(stderr, "cantus: %s\n", ct_message());
    if (status == CT_ESTOP) return ct_stop_asked() == 2 ? 130 : 75;
    return status == CT_EUSAGE ? 2 : 1;
}

static ct_status run(int argc, char **argv) {
    if (argc < 2) return ct_fail(CT_EUSAGE, "no command given (hint: cantus --help)");
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_help();
        return CT_OK;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("cantus %s (%s)\n%s\n", ct_version, ct_revision, ct_build);
        return CT_OK;
    }
    if (!strcmp(argv[1], "--keys")) {
        print_keys();
        return CT_OK;
    }
    for (size_t i = 0; i < CT_COUNT(commands); i++)
        if (!strcmp(commands[i]->name, argv[1])) return ct_command_run(commands[i], argc - 2, argv + 2);
    return ct_fail(CT_EUSAGE, "unknown command \"%s\" (hint: cantus --help lists them)", argv[1]);
}

/* Threads that spin while they wait are ten times slower on a machine that does anything else. The OpenMP library reads
 * its policy when it is loaded, so the only way to choose another is to start over with it; whoever has set one keeps
 * it. */
static void wait_without_spinning(char **argv) {
    char    path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0 || getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    path[n] = 0; /* the true name, so that ps and pkill know the program by it */
    if (setenv("OMP_WAIT_POLICY", "passive", 1) == 0) execv(path, argv); /* returns only if it can't */
}

int main(int argc, char **argv) {
    wait_without_spinning(argv);
    int code = exit_code(run(argc, argv));
    if (fflush(stdout) != 0 && code == 0) {
        fprintf(stderr, "cantus: can't write to stdout\n");
        code = 1;
    }
    return code;
}
