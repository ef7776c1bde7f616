/* main.c -- the program: a table of commands, each an extern of its folder. Only here does anything exit. */
#include "core/command.h"
#include "core/log.h"
#include "core/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const ct_command ct_command_prepare, ct_command_train, ct_command_generate, ct_command_evaluate,
    ct_command_inspect, ct_command_doctor;

static const ct_command *const commands[] = {&ct_command_prepare,  &ct_command_train,   &ct_command_generate,
                                             &ct_command_evaluate, &ct_command_inspect, &ct_command_doctor};

static void print_help(void) {
    printf("Cantus learns to compose from MIDI files and writes new ones.\n\n");
    for (size_t i = 0; i < CT_COUNT(commands); i++)
        printf("  cantus %-9s %-24s %s\n", commands[i]->name, commands[i]->usage, commands[i]->summary);
    printf(
        "\n  cantus COMMAND --help        its options and config keys\n  cantus --version             build facts\n\n"
        "Exit codes: 0 fine, 1 failed, 2 wrong usage, 75 stopped on request (start it again), 130 Ctrl-C.\n");
}

static ct_status print_command_help(const ct_command *command) {
    ct_arena arena = {0};
    printf("usage: cantus %s %s\n\n%s\n", command->name, command->usage, command->summary);
    if (command->details) printf("\n%s", command->details);
    const char *options = ct_command_option_help(command, &arena);
    if (options && *options) printf("\nOptions:\n%s", options);
    if (command->schema) {
        const char *keys = ct_config_help(command->schema, &arena);
        if (!keys) return CT_ENOMEM;
        printf("\nConfig keys (in the YAML file, or key=value behind it):\n%s", keys);
    }
    ct_arena_free(&arena);
    return CT_OK;
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
    for (size_t i = 0; i < CT_COUNT(commands); i++) {
        if (strcmp(commands[i]->name, argv[1])) continue;
        for (int k = 2; k < argc; k++)
            if (!strcmp(argv[k], "--help") || !strcmp(argv[k], "-h")) return print_command_help(commands[i]);
        int count = argc - 2;
        CT_TRY(ct_command_options(commands[i], &count, argv + 2));
        return commands[i]->run(count, argv + 2);
    }
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
