/* yaml.c -- in the place of core/yaml.c where no library for YAML is: plain words, [lists] and {maps: of them}, which
 * is all that the programs for a GPU and the defaults of configs say. Everything else is refused. */
#include "core/yaml.h"

#include <string.h>

enum { DEEPEST = 16 };

typedef struct reader {
    const char *text, *at, *source;
    ct_arena   *arena;
} reader;

static ct_status refuse(const reader *r) {
    return ct_fail(
        CT_EUSAGE,
        "%s:1:%zu: this program was built without libyaml and reads [lists], {maps: of} and plain words only",
        r->source, (size_t)(r->at - r->text) + 1);
}

/* Is it this character that comes? Then it is passed, and the blanks behind it. */
static bool passes(reader *r, char wanted) {
    if (*r->at != wanted) return false;
    r->at++;
    r->at += strspn(r->at, " ");
    return true;
}

static ct_status read_word(reader *r, ct_node *node) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-/";
    const size_t      count = strspn(r->at, plain);
    if (*r->at == '-' && (count == 1 || r->at[1] == '-')) return refuse(r); /* would begin a list or a document */
    node->text = ct_arena_copy(r->arena, r->at, count);
    r->at += count;
    r->at += strspn(r->at, " ");
    return node->text ? CT_OK : CT_ENOMEM;
}

static ct_status read_value(reader *r, int depth, ct_node **out);

static ct_status read_items(reader *r, int depth, char end, ct_node *node) {
    for (bool more = !passes(r, end); more;) {
        ct_node *key = NULL, *value;
        if (end == '}') {
            CT_TRY(read_value(r, depth + 1, &key));
            if (key->kind != CT_NODE_TEXT || !*key->text || !passes(r, ':')) return refuse(r);
        }
        CT_TRY(read_value(r, depth + 1, &value));
        CT_TRY(ct_node_add(node, key, value, r->arena));
        more = passes(r, ',');
        if (!more && !passes(r, end)) return refuse(r);
    }
    return CT_OK;
}

static ct_status read_value(reader *r, int depth, ct_node **out) {
    ct_node *node = *out = CT_NEW(r->arena, ct_node, 1);
    if (!node) return CT_ENOMEM;
    *node = (ct_node){.text = "", .source = r->source, .line = 1, .column = (int)(r->at - r->text) + 1};
    if (depth > DEEPEST) return refuse(r);
    node->kind = *r->at == '[' ? CT_NODE_LIST : *r->at == '{' ? CT_NODE_MAP : CT_NODE_TEXT;
    if (passes(r, '[')) return read_items(r, depth, ']', node);
    if (passes(r, '{')) return read_items(r, depth, '}', node);
    return read_word(r, node);
}

ct_status ct_yaml_file(const char *path, ct_arena *arena, ct_node **root) {
    (void)arena;
    *root = NULL;
    return ct_fail(CT_EUSAGE, "%s: this program was built without libyaml and reads no files", path);
}

ct_status ct_yaml_text(const char *text, const char *source, ct_arena *arena, ct_node **root) {
    reader r = {text, text, source, arena};
    *root = NULL;
    r.at += strspn(r.at, " ");
    CT_TRY(read_value(&r, 0, root));
    return *r.at ? refuse(&r) : CT_OK;
}
