/* yaml.c -- libyaml's documents turned into our nodes; see yaml.h. */
#include "core/yaml.h"

#include "core/file.h"

#include <string.h>
#include <yaml.h>

enum { DEEPEST = 16, LARGEST = 1 << 20, MOST_NODES = 20000 };

static bool plain_tag(const yaml_node_t *n) {
    const char *tag = (const char *)n->tag;
    return !tag || !strcmp(tag, YAML_STR_TAG) || !strcmp(tag, YAML_MAP_TAG) || !strcmp(tag, YAML_SEQ_TAG);
}

static ct_status convert(yaml_document_t *document, int index, const char *source, int depth, bool *used,
                         ct_arena *arena, ct_node **out) {
    yaml_node_t *n = yaml_document_get_node(document, index);
    ct_node     *node = CT_NEW(arena, ct_node, 1);
    if (!n || !node) return CT_ENOMEM;
    *node = (ct_node){.source = source, .line = (int)n->start_mark.line + 1, .column = (int)n->start_mark.column + 1};
    *out = node;
    if (depth > DEEPEST)
        return ct_fail(CT_EUSAGE, "%s:%d:%d: nested deeper than %d", source, node->line, node->column, DEEPEST);
    if (used[index])
        return ct_fail(CT_EUSAGE, "%s:%d:%d: aliases (*name) are not supported", source, node->line, node->column);
    if (!plain_tag(n))
        return ct_fail(CT_EUSAGE, "%s:%d:%d: tags (!name) are not supported", source, node->line, node->column);
    used[index] = true;
    if (n->type == YAML_SCALAR_NODE) {
        if (memchr(n->data.scalar.value, 0, n->data.scalar.length)) /* written "\0": text would end there */
            return ct_fail(CT_EUSAGE, "%s:%d:%d: a 0 byte in a text", source, node->line, node->column);
        node->text = ct_arena_copy(arena, (const char *)n->data.scalar.value, n->data.scalar.length);
        node->quoted = n->data.scalar.style == YAML_SINGLE_QUOTED_SCALAR_STYLE ||
                       n->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
        return node->text ? CT_OK : CT_ENOMEM;
    }
    if (n->type == YAML_SEQUENCE_NODE) {
        node->kind = CT_NODE_LIST;
        for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top; i++) {
            ct_node *value;
            CT_TRY(convert(document, *i, source, depth + 1, used, arena, &value));
            CT_TRY(ct_node_add(node, NULL, value, arena));
        }
        return CT_OK;
    }
    node->kind = CT_NODE_MAP;
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
        ct_node *key, *value;
        CT_TRY(convert(document, p->key, source, depth + 1, used, arena, &key));
        if (key->kind != CT_NODE_TEXT)
            return ct_fail(CT_EUSAGE, "%s:%d:%d: a key must be a single word", source, key->line, key->column);
        CT_TRY(convert(document, p->value, source, depth + 1, used, arena, &value));
        CT_TRY(ct_node_add(node, key, value, arena));
    }
    return CT_OK;
}

/* libyaml's time for a document is quadratic in its nesting and in its anchors, and it has no limits; so the events are
 * counted first, one by one. What is no YAML passes: loading says so better. */
static ct_status check_size(const unsigned char *text, size_t count, const char *source) {
    yaml_parser_t parser;
    yaml_event_t  event;
    size_t        nodes = 0;
    ct_status     status = CT_OK;
    if (count > LARGEST) return ct_fail(CT_EUSAGE, "%s: %zu bytes, at most %d", source, count, LARGEST);
    if (!yaml_parser_initialize(&parser)) return ct_fail(CT_ENOMEM, "out of memory");
    yaml_parser_set_input_string(&parser, text, count);
    for (int depth = 0, end = 0; status == CT_OK && !end && yaml_parser_parse(&parser, &event);) {
        bool opens = event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_MAPPING_START_EVENT;
        depth += opens;
        depth -= event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
        nodes += opens || event.type == YAML_SCALAR_EVENT;
        end = event.type == YAML_STREAM_END_EVENT;
        if (depth > DEEPEST + 1)
            status = ct_fail(CT_EUSAGE, "%s:%zu:%zu: nested deeper than %d", source, event.start_mark.line + 1,
                             event.start_mark.column + 1, DEEPEST);
        else if (nodes > MOST_NODES)
            status = ct_fail(CT_EUSAGE, "%s:%zu: more than %d keys and values", source, event.start_mark.line + 1,
                             MOST_NODES);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return status;
}

static ct_status parse(const unsigned char *text, size_t count, const char *source, ct_arena *arena, ct_node **root) {
    yaml_parser_t   parser;
    yaml_document_t document;
    CT_TRY(check_size(text, count, source));
    if (!yaml_parser_initialize(&parser)) return ct_fail(CT_ENOMEM, "out of memory");
    yaml_parser_set_input_string(&parser, text, count);
    ct_status status = CT_OK;
    if (!yaml_parser_load(&parser, &document)) {
        status = ct_fail(CT_EUSAGE, "%s:%zu:%zu: not valid YAML: %s", source, parser.problem_mark.line + 1,
                         parser.problem_mark.column + 1, parser.problem ? parser.problem : "unreadable bytes");
        yaml_parser_delete(&parser);
        return status;
    }
    yaml_node_t *first = yaml_document_get_root_node(&document);
    if (!first) {
        *root = CT_NEW(arena, ct_node, 1);
        if (*root)
            **root = (ct_node){.text = "", .source = source, .line = 1, .column = 1};
        else
            status = CT_ENOMEM;
    } else {
        size_t nodes = (size_t)(document.nodes.top - document.nodes.start);
        bool  *used = CT_NEW(arena, bool, nodes + 1);
        status = used ? convert(&document, 1, source, 0, used, arena, root) : CT_ENOMEM;
    }
    yaml_document_delete(&document);
    if (status == CT_OK && first) {
        if (!yaml_parser_load(&parser, &document))
            status = ct_fail(CT_EUSAGE, "%s:%zu: not valid YAML: %s", source, parser.problem_mark.line + 1,
                             parser.problem ? parser.problem : "unreadable bytes");
        else {
            if (yaml_document_get_root_node(&document))
                status = ct_fail(CT_EUSAGE, "%s: more than one document", source);
            yaml_document_delete(&document);
        }
    }
    yaml_parser_delete(&parser);
    return status;
}

ct_status ct_yaml_file(const char *path, ct_arena *arena, ct_node **root) {
    ct_bytes bytes;
    if (ct_file_read(path, LARGEST, arena, &bytes) != CT_OK) return CT_EUSAGE;
    return parse(bytes.at, bytes.count, path, arena, root);
}

ct_status ct_yaml_text(const char *text, const char *source, ct_arena *arena, ct_node **root) {
    return parse((const unsigned char *)text, strlen(text), source, arena, root);
}
