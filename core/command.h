/* command.h -- what main() hands to a command, and how a command describes itself.
 *
 * core/main.c holds the table; each command lives in its folder (train/cmd_train.c,
 * ...) as an extern ct_command. A command reads its words, does its work and
 * returns a status; main() prints the message and turns it into the exit code.
 *
 * Options are declared in a table and read before the command runs; each leaves
 * what was given in a variable of the command's file:
 *
 *   static const char *dry_run; // NULL: not given; "" for an option without a value
 *   static const ct_option options[] = {{"--dry-run", NULL, "say what would be done, and do nothing", &dry_run}};
 *
 * They may stand anywhere behind the command, as `--name`, `--name value` or `--name=value`; `--` ends them.
 * A command with a schema also has --explain, and one that names its output --list and --index, all of it done here.
 *
 * Fails: CT_EUSAGE for an option that the command has not, a value too few or too many.
 */
#ifndef CT_CORE_COMMAND_H
#define CT_CORE_COMMAND_H

#include "core/config.h"

typedef struct ct_option {
    const char  *name;  /* "--index" */
    const char  *value; /* "N": word for its value in --help; NULL: it takes none */
    const char  *doc;   /* one line */
    const char **given; /* where its value goes */
} ct_option;

typedef struct ct_command {
    const char      *name;
    const char      *usage;   /* "CONFIG [key=value ...]" */
    const char      *summary; /* one line */
    const char      *details; /* paragraphs of --help, or NULL */
    const ct_schema *schema;  /* its config keys, or NULL */
    const ct_option *options; /* its own options, or NULL */
    size_t           option_count;
    const char      *out;             /* config key of the folder that a run makes; NULL: no matrix, --list, --index */
    bool             config_optional; /* without a CONFIG there are defaults, and key=value */
    bool (*own_word)(const char *word); /* is it the command's own, neither CONFIG nor key=value? NULL: none is */
    /* The words without options, in their order; behind them, up to a NULL, the words that were options. */
    ct_status (*run)(int count, char **words);
} ct_command;

/* Do what `words` (ended by a NULL) say: run the command, or print its help, a list of runs, or what a key does. */
CT_NODISCARD ct_status ct_command_run(const ct_command *command, int count, char **words);

/* Read the usual words `CONFIG [key=value ...]` of a command into its config. */
CT_NODISCARD ct_status ct_command_config(const ct_command *command, int count, char **words, ct_arena *arena,
                                         void *out);

#endif
