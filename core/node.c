/* node.c -- see node.h. */
#include "core/node.h"

ct_status ct_node_add(ct_node *parent, ct_node *key, ct_node *value, ct_arena *arena) {
    if (parent->count == parent->capacity) {
        size_t capacity = parent->capacity;
        if (key) {
            parent->keys = ct_arena_grow(arena, parent->keys, parent->count, &capacity, sizeof *parent->keys);
            if (!parent->keys) return CT_ENOMEM;
        }
        capacity = parent->capacity;
        parent->values = ct_arena_grow(arena, parent->values, parent->count, &capacity, sizeof *parent->values);
        if (!parent->values) return CT_ENOMEM;
        parent->capacity = capacity;
    }
    if (key) parent->keys[parent->count] = key;
    parent->values[parent->count++] = value;
    return CT_OK;
}
