/* command.c -- see command.h. */
#include "core/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the options that every command with a config has */
static const char *help, *explain, *list, *run_number;

enum { EXPLAIN = 1, OUT = 2 };
static const struct {
    ct_option option;
    int       needs; /* what a command must have for it */
} common[] = {
    {{"--list", NULL, "the runs of the config's matrix, each with its folder", &list}, OUT},
    {{"--index", "N", "run number N of the matrix, as --list counts, from 1", &run_number}, OUT},
    {{"--explain", "KEY", "what a config key takes and does, and where CONFIG, if given, sets it", &explain}, EXPLAIN},
    {{"--help", NULL, "this text", &help}, 0},
};

/* Option `i` of the command, its own ones first; NULL when there are no more. `i` steps over those it has not. */
static const ct_option *next_option(const ct_command *command, size_t *i) {
    if (*i < command->option_count) return &command->options[(*i)++];
    while (*i < command->option_count + CT_COUNT(common)) {
        size_t k = (*i)++ - command->option_count;
        if (common[k].needs == EXPLAIN && !command->schema) continue;
        if (common[k].needs == OUT && !command->out) continue;
        return &common[k].option;
    }
    return NULL;
}

/* The option that `word` names, up to a '='; NULL if there is none. */
static const ct_option *find_option(const ct_command *command, const char *word) {
    size_t           n = strcspn(word, "="), i = 0;
    const ct_option *option;
    if (!strcmp(word, "-h")) word = "--help", n = 6;
    while ((option = next_option(command, &i)))
        if (strlen(option->name) == n && !strncmp(option->name, word, n)) return option;
    return NULL;
}

/* Read the options and put their words behind the others, of which `count` are left. */
static ct_status read_options(const ct_command *command, int *count, char **words) {
    int  plain = 0;
    bool ended = false;
    for (int i = 0; i < *count; i++) {
        char *word = words[i];
        if (ended || word[0] != '-' || !word[1]) { /* "-" alone is a word */
            memmove(words + plain + 1, words + plain, (size_t)(i - plain) * sizeof *words);
            words[plain++] = word;
            continue;
        }
        if (!strcmp(word, "--")) {
            ended = true;
            continue;
        }
        const ct_option *option = find_option(command, word);
        const char      *equals = strchr(word, '=');
        if (!option)
            return ct_fail(CT_EUSAGE, "%s: unknown option %s (hint: cantus %s --help lists them)", command->name, word,
                           command->name);
        if (!option->value && equals)
            return ct_fail(CT_EUSAGE, "%s: %s takes no value, found \"%s\"", command->name, option->name, equals + 1);
        if (!option->value)
            *option->given = "";
        else if (equals)
            *option->given = equals + 1;
        else if (i + 1 < *count)
            *option->given = words[++i];
        else
            return ct_fail(CT_EUSAGE, "%s: %s needs a value: %s %s", command->name, option->name, option->name,
                           option->value);
    }
    *count = plain;
    return CT_OK;
}

static ct_status print_help(const ct_command *command) {
    ct_arena         arena = {0};
    const ct_option *option;
    size_t           i = 0;
    printf("usage: cantus %s %s\n\n%s\n", command->name, command->usage, command->summary);
    if (command->details) printf("\n%s", command->details);
    printf("\nOptions:\n");
    while ((option = next_option(command, &i)))
        printf("  %s %-*s %s\n", option->name, (int)(27 - strlen(option->name)), option->value ? option->value : "",
               option->doc);
    if (command->schema) {
        const char *keys = ct_config_help(command->schema, &arena);
        if (!keys) return CT_ENOMEM;
        printf("\nConfig keys (in the YAML file, or key=value behind it):\n%s", keys);
    }
    ct_arena_free(&arena);
    return CT_OK;
}

/* The usual words `CONFIG [key=value ...]`; without a file all are taken to be key=value. */
static ct_status find_source(const ct_command *command, int count, char **words, ct_config_source *out) {
    int first = count > 0 && !strchr(words[0], '=');
    *out = (ct_config_source){.path = first ? words[0] : NULL,
                              .overrides = (const char *const *)words + first,
                              .override_count = (size_t)(count - first),
                              .out = command->out};
    if (!run_number) return CT_OK;
    char *end;
    errno = 0;
    out->index = strtoll(run_number, &end, 10);
    if (end == run_number || *end || errno || out->index < 1)
        return ct_fail(CT_EUSAGE, "%s: --index: expected a whole number from 1 on, found \"%s\" (hint: --list)",
                       command->name, run_number);
    return CT_OK;
}

static ct_status missing_config(const ct_command *command) {
    return ct_fail(CT_EUSAGE, "%s: no config file given (usage: cantus %s %s; shipped ones lie in configs/)",
                   command->name, command->name, command->usage);
}

ct_status ct_command_config(const ct_command *command, int count, char **words, ct_arena *arena, void *out) {
    ct_config_source source;
    CT_TRY(find_source(command, count, words, &source));
    if (!source.path && !command->config_optional) return missing_config(command);
    return ct_config_read_source(command->schema, &source, arena, out);
}

static void leave_out_own_words(const ct_command *command, int *count, char **words) {
    int kept = 0;
    for (int i = 0; i < *count; i++)
        if (!command->own_word || !command->own_word(words[i])) words[kept++] = words[i];
    *count = kept;
}

ct_status ct_command_run(const ct_command *command, int count, char **words) {
    ct_config_source source;
    help = explain = list = run_number = NULL;
    CT_TRY(read_options(command, &count, words));
    if (help) return print_help(command);
    if (!explain && !list) return command->run(count, words);
    leave_out_own_words(command, &count, words);
    CT_TRY(find_source(command, count, words, &source));
    if (explain) return ct_config_explain(command->schema, &source, explain, stdout);
    return source.path ? ct_config_list(command->schema, &source, stdout) : missing_config(command);
}
