/* command.c -- see command.h. */
#include "core/command.h"

#include <string.h>

ct_status ct_command_config(const ct_command *command, int count, char **words, ct_arena *arena, void *out) {
    if (count < 1 || strchr(words[0], '=') || words[0][0] == '-')
        return ct_fail(CT_EUSAGE, "%s: no config file given (usage: cantus %s %s; shipped ones lie in configs/)",
                       command->name, command->name, command->usage);
    return ct_config_read(command->schema, words[0], (const char *const *)words + 1, (size_t)count - 1, arena, out);
}
