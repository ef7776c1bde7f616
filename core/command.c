/* command.c -- see command.h. */
#include "core/command.h"

#include <stdio.h>
#include <string.h>

/* The option that `word` names, up to a '='; NULL if there is none. */
static const ct_option *find_option(const ct_command *command, const char *word) {
    size_t n = strcspn(word, "=");
    for (size_t i = 0; i < command->option_count; i++)
        if (strlen(command->options[i].name) == n && !strncmp(command->options[i].name, word, n))
            return &command->options[i];
    return NULL;
}

ct_status ct_command_options(const ct_command *command, int *count, char **words) {
    int  left = 0;
    bool ended = false;
    for (int i = 0; i < *count; i++) {
        char *word = words[i];
        if (ended || word[0] != '-' || !word[1]) { /* "-" alone is a word */
            words[left++] = word;
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
    *count = left;
    return CT_OK;
}

char *ct_command_option_help(const ct_command *command, ct_arena *arena) {
    char *text = ct_arena_copy(arena, "", 0);
    for (size_t i = 0; text && i < command->option_count; i++) {
        const ct_option *o = &command->options[i];
        char             form[64];
        snprintf(form, sizeof form, "%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        text = ct_arena_printf(arena, "%s  %-28s %s\n", text, form, o->doc);
    }
    return text;
}

ct_status ct_command_config(const ct_command *command, int count, char **words, ct_arena *arena, void *out) {
    if (count < 1 || strchr(words[0], '='))
        return ct_fail(CT_EUSAGE, "%s: no config file given (usage: cantus %s %s; shipped ones lie in configs/)",
                       command->name, command->name, command->usage);
    return ct_config_read(command->schema, words[0], (const char *const *)words + 1, (size_t)count - 1, arena, out);
}
