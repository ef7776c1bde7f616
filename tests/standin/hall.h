/* hall.h -- memory that the processes of one job share on one machine: where the double of NCCL meets (nccl.cpp).
 *
 * Each process, by its rank, publishes messages, numbered from 0 on; the others read message n of each rank, and say
 * when they have. Nobody waits here: what is not there yet, or has no room yet, is asked for again. Whether a process
 * lives is told by a lock that the system takes from it when it ends.
 *
 * It is memory without a name, found by way of the founder's process: nothing is left on disk, however they end.
 * Owner: who entered leaves. Fails: with an empty pointer, or false, and a sentence.
 */
#ifndef CT_STANDIN_HALL_H
#define CT_STANDIN_HALL_H

#include <stddef.h>
#include <stdint.h>

#include <string>
#include <vector>

struct hall_key { /* names it in all processes */
    int      pid, file;
    uint64_t nonce;
};
struct hall;

enum { HALL_RANKS = 8, HALL_ROOM = 32 << 20 /* bytes of a rank's messages that are not read yet */ };

bool        hall_found(hall_key *key);
/* place: of the rank's device; two at one are refused by hall_shared_place. */
hall       *hall_enter(const hall_key &key, int rank, int size, const char *place, std::string *why);
void        hall_leave(hall *left);
bool        hall_all_there(const hall *h);
/* "ranks 0 and 2 are both at 0000:00:00.0"; empty: all are at different ones. When all are there. */
std::string hall_shared_place(const hall *h);
/* A rank that has entered and ended without leaving; -1: none. */
int         hall_dead(const hall *h);

/* false: no room yet */
bool        hall_publish(hall *h, uint64_t number, const std::vector<char> &message);
/* nullptr: not yet */
const char *hall_message(const hall *h, int rank, uint64_t number, size_t *bytes);
/* This rank has read message `number` of all, and those before it. */
void        hall_read(hall *h, uint64_t number);

#endif
