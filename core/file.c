/* file.c -- files on POSIX; see file.h. */
#include "core/file.h"

#include "core/fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

/* Without waiting: opening a pipe that nobody writes into would. */
static int open_to_read(const char *path) {
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

ct_status ct_file_read(const char *path, size_t limit, ct_arena *arena, ct_bytes *out) {
    struct stat about;
    if (!limit) limit = (size_t)4 << 30;
    int file = open_to_read(path);
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
    int file = open_to_read(path);
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

ct_status ct_writer_begin(ct_writer *writer, const char *path) {
    if ((size_t)snprintf(writer->path, sizeof writer->path, "%s", path) >= sizeof writer->path)
        return ct_fail(CT_EFAIL, "path too long: %.60s...", path);
    snprintf(writer->temporary, sizeof writer->temporary, "%s.%ld.tmp", writer->path, (long)getpid());
    writer->error = 0;
    writer->digest = (ct_digest){0};
    writer->stream = fopen(writer->temporary, "w+be");
    if (!writer->stream) return system_failure("create", writer->temporary);
    ct_sha256_begin(&writer->sum);
    return CT_OK;
}

/* 0 or errno. */
static int put(FILE *stream, const void *bytes, size_t count) {
    errno = 0;
    if (!ct_fault_write(count) && fwrite(bytes, 1, count, stream) == count) return 0;
    return errno ? errno : EIO;
}

void ct_writer_put(ct_writer *writer, const void *bytes, size_t count) {
    if (!count || writer->error) return;
    writer->error = put(writer->stream, bytes, count);
    ct_sha256_add(&writer->sum, bytes, count);
    writer->digest.bytes += count;
}

void ct_writer_print(ct_writer *writer, const char *format, ...) {
    char   *text;
    va_list arguments;
    va_start(arguments, format);
    int n = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (n < 0) {
        writer->error = writer->error ? writer->error : ENOMEM;
        return;
    }
    ct_writer_put(writer, text, (size_t)n);
    free(text);
}

/* A bit in the middle, as a bad cable or disk would: only for faults made to order. */
static void flip_a_bit(FILE *stream, const ct_writer *writer) {
    unsigned char byte;
    off_t         at = (off_t)(writer->digest.bytes / 2);
    CT_ASSERT(pread(fileno(stream), &byte, 1, at) == 1);
    byte ^= 1;
    CT_ASSERT(pwrite(fileno(stream), &byte, 1, at) == 1);
}

/* 0 or errno. */
static int sync_stream(FILE *stream) {
    errno = 0;
    if (fflush(stream) == 0 && !ct_fault(CT_FAULT_FSYNC) && fsync(fileno(stream)) == 0) return 0;
    return errno ? errno : EIO;
}

ct_status ct_writer_commit(ct_writer *writer) {
    FILE *stream = writer->stream;
    ct_sha256_end(&writer->sum, writer->digest.sha256);
    if (!writer->error && ct_fault_flips(writer->path) && fflush(stream) == 0) flip_a_bit(stream, writer);
    if (!writer->error) writer->error = sync_stream(stream);
    errno = 0;
    if (fclose(stream) != 0 && !writer->error) writer->error = errno ? errno : EIO;
    writer->stream = NULL;
    if (writer->error) {
        errno = writer->error;
        ct_status status = system_failure("write", writer->path);
        unlink(writer->temporary);
        return status;
    }
    ct_status status = ct_rename(writer->temporary, writer->path);
    if (status != CT_OK) {
        unlink(writer->temporary);
        return status;
    }
    return ct_folder_sync_above(writer->path);
}

void ct_writer_abandon(ct_writer *writer) {
    if (!writer->stream) return;
    fclose(writer->stream);
    writer->stream = NULL;
    unlink(writer->temporary);
}

ct_status ct_put_at(void *stream, const char *path, const void *bytes, size_t count, int64_t at) {
    if (count && ct_fault_write(count)) return system_failure("write", path);
    for (size_t done = 0; done < count;) {
        ssize_t n = pwrite(fileno(stream), (const char *)bytes + done, count - done, (off_t)at + (off_t)done);
        if (n == 0) errno = EIO; /* nothing taken, and nothing said */
        if (n == 0 || (n < 0 && errno != EINTR)) return system_failure("write", path);
        if (n > 0) done += (size_t)n;
    }
    return CT_OK;
}

ct_status ct_append(void *stream, const char *path, const void *bytes, size_t count) {
    off_t end = lseek(fileno(stream), 0, SEEK_END);
    if (end < 0) return system_failure("find the end", path);
    ct_status status = ct_put_at(stream, path, bytes, count, end);
    if (status != CT_OK && ftruncate(fileno(stream), end) != 0)
        status = ct_context(status, "%s: ends in a part of a line", path);
    return status;
}

ct_status ct_stream_sync(void *stream, const char *path) {
    errno = sync_stream(stream);
    return errno ? system_failure("write", path) : CT_OK;
}

ct_status ct_rename(const char *from, const char *to) {
    if (!ct_fault(CT_FAULT_RENAME) && rename(from, to) == 0) return CT_OK;
    return ct_fail(CT_EFAIL, "%s: can't rename to %s: %s", from, to, strerror(errno));
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
    bool      bad = ct_fault(CT_FAULT_FSYNC) || (fsync(folder) != 0 && errno != EINVAL);
    ct_status status = bad ? system_failure("sync", path) : CT_OK;
    close(folder);
    return status;
}

ct_status ct_folder_sync_above(const char *path) {
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (!slash) return ct_folder_sync(".");
    slash[slash == folder] = 0;
    return ct_folder_sync(folder);
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
