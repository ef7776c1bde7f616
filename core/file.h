/* file.h -- files: read or map one, write one whole or not at all, make and walk folders.
 *
 * Owner: read bytes live in the arena given; a map lives until ct_file_unmap.
 * Writing: to a temporary name beside the target, fsync, rename, fsync of the
 *        folder: a reader sees the old file or the new one, never a part.
 * Fails: CT_EFAIL with path and the system's reason; nothing half-written stays.
 */
#ifndef CT_CORE_FILE_H
#define CT_CORE_FILE_H

#include "core/arena.h"
#include "core/sha256.h"

typedef struct ct_bytes {
    uint8_t *at;
    size_t   count;
} ct_bytes;

/* Whole file into the arena, a 0 byte behind it. limit: most bytes accepted (0: 4 GiB). */
CT_NODISCARD ct_status ct_file_read(const char *path, size_t limit, ct_arena *arena, ct_bytes *out);
/* Read-only map; an empty file maps to {NULL, 0}. */
CT_NODISCARD ct_status ct_file_map(const char *path, ct_bytes *out);
void                   ct_file_unmap(ct_bytes *map);

/* All of `bytes` as `path`, atomically. */
CT_NODISCARD ct_status ct_file_write(const char *path, const void *bytes, size_t count);
/* What was given to be written, whatever the disk makes of it. */
typedef struct ct_digest {
    size_t bytes;
    char   sha256[65]; /* 64 hex digits and a 0 */
} ct_digest;
/* The same for a file written in parts: begin, any number of put, then commit or abandon. */
typedef struct ct_writer {
    char          path[4096], temporary[4112];
    void         *stream; /* FILE */
    ct_sha256_sum sum;
    int           error;  /* errno of the first that failed, 0: none */
    ct_digest     digest; /* whole after commit */
} ct_writer;
CT_NODISCARD ct_status ct_writer_begin(ct_writer *writer, const char *path);
void                   ct_writer_put(ct_writer *writer, const void *bytes, size_t count);
void                   ct_writer_print(ct_writer *writer, const char *format, ...) CT_PRINTF(2, 3);
CT_NODISCARD ct_status ct_writer_commit(ct_writer *writer);
void                   ct_writer_abandon(ct_writer *writer);

/* For files that grow: bytes into an open stream (FILE) of the file `path`, past its buffer, at a place; at the end,
 * all of them or none; then on disk. */
CT_NODISCARD ct_status ct_put_at(void *stream, const char *path, const void *bytes, size_t count, int64_t at);
CT_NODISCARD ct_status ct_append(void *stream, const char *path, const void *bytes, size_t count);
CT_NODISCARD ct_status ct_stream_sync(void *stream, const char *path);
/* From one name to another, of a file or folder, in place of what has it. */
CT_NODISCARD ct_status ct_rename(const char *from, const char *to);

bool                   ct_file_exists(const char *path);
bool                   ct_folder_exists(const char *path);
/* The folder and those above it. */
CT_NODISCARD ct_status ct_folder_make(const char *path);
/* fsync a folder, so that renames in it last; the folder that `path` lies in. */
CT_NODISCARD ct_status ct_folder_sync(const char *path);
CT_NODISCARD ct_status ct_folder_sync_above(const char *path);
/* Remove a folder of plain files and folders (links are removed, never followed). */
CT_NODISCARD ct_status ct_folder_remove(const char *path);
/* Names of all plain files below `path` whose name ends in one of `endings` (NULL-ended list, any case), relative to
 * `path`, sorted by byte value. Links to files are read, links to folders not followed. At most `limit` files (0: no
 * limit). */
CT_NODISCARD ct_status ct_folder_list(const char *path, const char *const *endings, size_t limit, ct_arena *arena,
                                      char ***names, size_t *count);
/* Names of the folders right below `path`, sorted. */
CT_NODISCARD ct_status ct_folder_folders(const char *path, ct_arena *arena, char ***names, size_t *count);

#endif
