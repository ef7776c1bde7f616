/* config_keys.h -- a tree read through a schema into a plain struct.
 *
 * Every value is checked for its kind and range; what the tree leaves out takes
 * its default; names that no key has come with the nearest that one has.
 *
 * Owner: the struct is the caller's, texts lie in the arena. Fails: never; errors are gathered.
 */
#ifndef CT_CORE_CONFIG_KEYS_H
#define CT_CORE_CONFIG_KEYS_H

#include "core/config.h"
#include "core/config_tree.h"

/* `root` in the long form. */
void        ct_keys_read(const ct_schema *schema, const ct_node *root, ct_errors *errors, ct_arena *arena, void *out);
/* Does `path` name a key, or a folder of keys? */
bool        ct_keys_known(const ct_key *keys, size_t count, const char *path, bool *is_folder);
/* The key that an unknown one may have been meant to be; NULL: none is near. */
const char *ct_keys_nearest(const ct_key *keys, size_t count, const char *path);
/* Bytes that the struct needs at least, for reading where only the check matters. */
size_t      ct_keys_size(const ct_schema *schema);

#endif
