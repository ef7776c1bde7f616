/* file.c -- files on POSIX; see file.h. */
#include "core/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static ct_status system_failure(const char *what, const char *path) {
    return ct_fail(CT_EFAIL, "%s: can't %s: %s", path, what, strerror(errno));
}

ct_status ct_file_read(const char *path, size_t limit, ct_arena *arena, ct_bytes *out) {
    struct stat about;
    if (!limit) limit = (size_t)4 << 30;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return system_failure("open", path);
    ct_status status = CT_OK;
    if (fstat(file, &about) < 0)
        status = system_failure("stat", path);
    else if (!S_ISREG(about.st_mode))
        status = ct_fail(CT_EFAIL, "%s: is no plain file", path);
    else if ((uint64_t)about.st_size > limit)
        status = ct_fail(CT_EFAIL, "%s: %lld bytes, at most %zu are accepted", path, (long long)about.st_size, limit);
    size_t size = status == CT_OK ? (size_t)about.st_size : 0, done = 0;
    out->at = status == CT_OK ? ct_arena_alloc(arena, size + 1, 1) : NULL;
    if (status == CT_OK && !out->at) status = CT_ENOMEM;
    while (status == CT_OK && done < size) {
        ssize_t n = read(file, out->at + done, size - done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0)
            break; /* it has become shorter: what is there is what is read */
        else if (errno != EINTR)
            status = system_failure("read", path);
    }
    out->count = done;
    close(file);
    return status;
}

ct_status ct_file_map(const char *path, ct_bytes *out) {
    struct stat about;
    *out = (ct_bytes){0};
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return system_failure("open", path);
    ct_status status = CT_OK;
    if (fstat(file, &about) < 0)
        status = system_failure("stat", path);
    else if (!S_ISREG(about.st_mode))
        status = ct_fail(CT_EFAIL, "%s: is no plain file", path);
    else if (about.st_size > 0) {
        void *map = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (map == MAP_FAILED)
            status = system_failure("map", path);
        else
            *out = (ct_bytes){map, (size_t)about.st_size};
    }
    close(file);
    return status;
}

void ct_file_unmap(ct_bytes *map) {
    if (map->at) munmap(map->at, map->count);
    *map = (ct_bytes){0};
}

/* The folder part of a path, "." when it has none. */
static void folder_of(const char *path, char *folder, size_t size) {
    snprintf(folder, size, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == folder)
        folder[1] = 0;
    else if (slash)
        *slash = 0;
    else
        snprintf(folder, size, ".");
}

ct_status ct_writer_begin(ct_writer *writer, const char *path) {
    if ((size_t)snprintf(writer->path, sizeof writer->path, "%s", path) >= sizeof writer->path)
        return ct_fail(CT_EFAIL, "path too long: %.60s...", path);
    snprintf(writer->temporary, sizeof writer->temporary, "%s.%ld.tmp", writer->path, (long)getpid());
    writer->failed = false;
    writer->stream = fopen(writer->temporary, "wbe");
    if (!writer->stream) return system_failure("create", writer->temporary);
    return CT_OK;
}

void ct_writer_put(ct_writer *writer, const void *bytes, size_t count) {
    if (count && !writer->failed && fwrite(bytes, 1, count, writer->stream) != count) writer->failed = true;
}

void ct_writer_print(ct_writer *writer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (!writer->failed && vfprintf(writer->stream, format, arguments) < 0) writer->failed = true;
    va_end(arguments);
}

ct_status ct_writer_commit(ct_writer *writer) {
    FILE *stream = writer->stream;
    bool  bad = writer->failed || fflush(stream) != 0 || fsync(fileno(stream)) != 0;
    int   reason = errno;
    bad = (fclose(stream) != 0) || bad;
    writer->stream = NULL;
    if (bad) {
        errno = reason ? reason : EIO;
        ct_status status = system_failure("write", writer->path);
        unlink(writer->temporary);
        return status;
    }
    if (rename(writer->temporary, writer->path) != 0) {
        ct_status status = system_failure("rename to", writer->path);
        unlink(writer->temporary);
        return status;
    }
    char folder[4096];
    folder_of(writer->path, folder, sizeof folder);
    return ct_folder_sync(folder);
}

void ct_writer_abandon(ct_writer *writer) {
    if (!writer->stream) return;
    fclose(writer->stream);
    writer->stream = NULL;
    unlink(writer->temporary);
}

ct_status ct_file_write(const char *path, const void *bytes, size_t count) {
    ct_writer writer;
    CT_TRY(ct_writer_begin(&writer, path));
    ct_writer_put(&writer, bytes, count);
    return ct_writer_commit(&writer);
}

bool ct_file_exists(const char *path) {
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

bool ct_folder_exists(const char *path) {
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

ct_status ct_folder_make(const char *path) {
    char part[4096];
    if ((size_t)snprintf(part, sizeof part, "%s", path) >= sizeof part)
        return ct_fail(CT_EFAIL, "path too long: %.60s...", path);
    for (char *p = part + 1;; p++) {
        if (*p && *p != '/') continue;
        char end = *p;
        *p = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST) return system_failure("make the folder", part);
        *p = end;
        if (!end) break;
    }
    if (!ct_folder_exists(path)) return ct_fail(CT_EFAIL, "%s: is there and is no folder", path);
    return CT_OK;
}

ct_status ct_folder_sync(const char *path) {
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return system_failure("open", path);
    int bad = fsync(folder) != 0 && errno != EINVAL;
    close(folder);
    return bad ? system_failure("sync", path) : CT_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef struct ct_listing {
    ct_arena          *arena;
    const char *const *endings; /* NULL: folders right here */
    char             **names;
    size_t             count, capacity, limit;
} ct_listing;

static bool ends_in(const char *name, const char *const *endings) {
    size_t n = strlen(name);
    for (; *endings; endings++) {
        size_t m = strlen(*endings);
        if (n > m && strcasecmp(name + n - m, *endings) == 0) return true;
    }
    return false;
}

static ct_status list(ct_listing *listing, const char *root, const char *below, int depth) {
    char path[8192];
    snprintf(path, sizeof path, "%s%s%s", root, *below ? "/" : "", below);
    DIR *folder = opendir(path);
    if (!folder) return system_failure("open the folder", path);
    ct_status      status = CT_OK;
    struct dirent *entry;
    while (status == CT_OK && (entry = readdir(folder))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        char        name[4096];
        struct stat about;
        if ((size_t)snprintf(name, sizeof name, "%s%s%s", below, *below ? "/" : "", entry->d_name) >= sizeof name)
            continue;
        if (fstatat(dirfd(folder), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0) continue;
        bool is_folder = S_ISDIR(about.st_mode);
        if (S_ISLNK(about.st_mode) &&
            (fstatat(dirfd(folder), entry->d_name, &about, 0) != 0 || !S_ISREG(about.st_mode)))
            continue;
        if (is_folder && listing->endings && depth < 32) {
            status = list(listing, root, name, depth + 1);
            continue;
        }
        if (listing->endings ? !S_ISREG(about.st_mode) || !ends_in(entry->d_name, listing->endings) : !is_folder)
            continue;
        if (listing->limit && listing->count == listing->limit)
            status = ct_fail(CT_EFAIL, "%s: more than %zu files", root, listing->limit);
        else if (!CT_PUSH(listing->arena, listing->names, listing->count, listing->capacity))
            status = CT_ENOMEM;
        else {
            char *copy = ct_arena_copy(listing->arena, name, strlen(name));
            if (!copy)
                status = CT_ENOMEM;
            else
                listing->names[listing->count++] = copy;
        }
    }
    closedir(folder);
    return status;
}

ct_status ct_folder_list(const char *path, const char *const *endings, size_t limit, ct_arena *arena, char ***names,
                         size_t *count) {
    ct_listing listing = {.arena = arena, .endings = endings, .limit = limit};
    CT_TRY(list(&listing, path, "", 0));
    if (listing.count) qsort(listing.names, listing.count, sizeof *listing.names, by_name);
    *names = listing.names;
    *count = listing.count;
    return CT_OK;
}

ct_status ct_folder_folders(const char *path, ct_arena *arena, char ***names, size_t *count) {
    ct_listing listing = {.arena = arena};
    CT_TRY(list(&listing, path, "", 0));
    if (listing.count) qsort(listing.names, listing.count, sizeof *listing.names, by_name);
    *names = listing.names;
    *count = listing.count;
    return CT_OK;
}

ct_status ct_folder_remove(const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return system_failure("open the folder", path);
    ct_status      status = CT_OK;
    struct dirent *entry;
    while (status == CT_OK && (entry = readdir(folder))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        struct stat about;
        char        name[8192];
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (fstatat(dirfd(folder), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(about.st_mode))
            status = ct_folder_remove(name);
        else if (unlinkat(dirfd(folder), entry->d_name, 0) != 0)
            status = system_failure("remove", name);
    }
    closedir(folder);
    if (status == CT_OK && rmdir(path) != 0) status = system_failure("remove", path);
    return status;
}

void ct_sha256(const void *bytes, size_t count, char hex[65]) {
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
    for (size_t done = 0; done < count;) {
        size_t part = count - done < (size_t)1 << 30 ? count - done : (size_t)1 << 30;
        g_checksum_update(sum, (const guchar *)bytes + done, (gssize)part);
        done += part;
    }
    memcpy(hex, g_checksum_get_string(sum), 65);
    g_checksum_free(sum);
}
