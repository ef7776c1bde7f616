/* copies.cpp -- cp.async: each thread has a queue of copies, in groups. A copy is made when it is issued, or when its
 * thread waits for its group: both are allowed, and a kernel has to be right for either. Until that wait nobody may
 * touch the bytes it writes; after it the thread itself may, others after a barrier. */
#include "block.h"

#include "checker.h"

#include <string.h>

static void make(const async_copy &copy) {
    memcpy(copy.to, copy.from, copy.from_bytes);
    memset(copy.to + copy.from_bytes, 0, copy.bytes - copy.from_bytes);
}

static bool make_early(void) {
    if (the_schedule.order == EMULATOR_RANDOM) return block_random(this_block) % 2;
    return the_schedule.order == EMULATOR_BACKWARD;
}

void machine_copy_async(void *to, const void *from, unsigned bytes, unsigned from_bytes, machine_place at) {
    kernel_thread *me = block_me();
    async_copy     copy = {
            static_cast<char *>(to), static_cast<const char *>(from), bytes, from_bytes, me->groups, make_early(), NO_SITE};
    if (!check_copy(&copy, at)) block_give_up();
    if (copy.made) make(copy);
    me->copies.push_back(copy);
}

void machine_copy_commit(void) {
    block_me()->groups++;
}

void copies_finish(kernel_thread *me, unsigned last_group) {
    size_t left = 0;
    for (const async_copy &copy : me->copies) {
        if (copy.group > last_group) {
            me->copies[left++] = copy;
            continue;
        }
        if (!copy.made) make(copy);
        check_copy_made(copy);
    }
    me->copies.resize(left);
}

void machine_copy_wait(unsigned pending) {
    kernel_thread *me = block_me();
    if (me->groups > pending) copies_finish(me, me->groups - pending - 1);
}
