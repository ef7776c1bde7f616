/* checker.h -- every load and store against what a CUDA machine promises: is it within an array, aligned, of bytes that
 * were written, and ordered after what others did to the same bytes?
 *
 * Each byte of shared and device memory has a cell: who wrote it last, who has read it since (the four bytes of a word
 * share one, until an access is to some of them only). Two accesses of one byte,
 * at least one of them a write, not both atomic, are a race unless something orders them: an earlier launch; the same
 * thread; a barrier of the block between them; a __syncwarp that both threads took part in. A shuffle orders nothing,
 * and nothing orders blocks of one launch. So a race is found from the barriers that are missing, not from the order
 * that happened.
 *
 * Time, within a block: barriers passed (`epoch`), and, in a warp, what each lane has seen of the others
 * (kernel_thread.seen). Of several readers that nothing orders, a cell keeps two of one warp, or that there were more
 * warps, or more blocks: a race is never reported that is none; one with a third lane of a warp behind a partial
 * __syncwarp may be missed.
 *
 * Owner: cells belong to the block and to the allocations. Fails: findings are reports.
 */
#ifndef CT_EMULATOR_CHECKER_H
#define CT_EMULATOR_CHECKER_H

#include "block.h"
#include "memory.h"

struct cell {
    uint32_t write_run, write_epoch, write_who, write_site; /* run 0: never by a kernel */
    uint32_t read_run, read_epoch, read_who, read_other;    /* read_other: a second lane of the same warp, or 0 */
    uint32_t read_site, flags;
    uint32_t read_apart; /* an earlier run that has read it and that nothing orders before read_run, or 0 */
};

struct shadow { /* of some memory */
    cell  *words;
    cell  *bytes; /* of words whose cell says that they are split; none before the first is */
    size_t count; /* words */
};
void shadow_free(shadow *s);

/* Are loads and stores checked? The checked flavour's objects say so when the program starts, PTX before it runs. */
void checker_enable(bool enable);
bool checker_enabled(void);
/* A launch begins: runs from `first` on are its blocks, in this order. */
void checker_begin_launch(uint32_t first, const unsigned *order);

/* A load or store of the running thread; alignment 1: any. */
void check_access(bool write, const void *address, size_t bytes, size_t alignment, site where);

/* What the machine itself does for a thread, in both flavours: alignment and shared memory always, the rest when
 * enabled. False: it can't be done. */
bool check_row(const void *row, machine_place at); /* of ldmatrix */
bool check_copy(async_copy *copy, machine_place at);
void check_copy_made(const async_copy &copy);
void check_atomic(const void *address, size_t bytes, machine_place at);

/* Where launches and copies are queued in streams, earlier ones need not be ordered before later ones. */
struct checker_streams {
    bool (*before)(
        uint32_t run); /* does what this run belongs to come before what runs now, whatever the order drawn? */
    std::string (*name)(uint32_t run);
};
extern const checker_streams *the_checker_streams; /* none: each comes before the next */
/* What the host's functions below do is done by this run from now on; 0: by the host, before or after all launches. */
void                          checker_begin_copy(uint32_t run, site where);

void check_host_write(allocation *a, const char *device, size_t bytes);
void check_host_read(const allocation *a, const char *device, size_t bytes);

#endif
