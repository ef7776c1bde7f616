/* command.h -- what main() hands to a command, and how a command describes itself.
 *
 * core/main.c holds the table; each command lives in its folder (train/cmd_train.c,
 * ...) as an extern ct_command. A command reads its words, does its work and
 * returns a status; main() prints the message and turns it into the exit code.
 */
#ifndef CT_CORE_COMMAND_H
#define CT_CORE_COMMAND_H

#include "core/config.h"

typedef struct ct_command {
    const char      *name;
    const char      *usage;   /* "CONFIG [key=value ...]" */
    const char      *summary; /* one line */
    const char      *details; /* paragraphs of --help, or NULL */
    const ct_schema *schema;  /* its config keys, or NULL */
    ct_status (*run)(int count, char **words);
} ct_command;

/* Read the usual words `CONFIG [key=value ...]` of a command into its config. */
CT_NODISCARD ct_status ct_command_config(const ct_command *command, int count, char **words, ct_arena *arena,
                                         void *out);

#endif
