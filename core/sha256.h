/* sha256.h -- SHA-256 (FIPS 180-4): of bytes in memory, or of any number of parts.
 *
 *   ct_sha256_sum sum;
 *   ct_sha256_begin(&sum);
 *   ct_sha256_add(&sum, bytes, count);   any number of times
 *   ct_sha256_end(&sum, hex);
 *
 * Owner: the sum is the caller's and holds no memory. Nothing can fail.
 */
#ifndef CT_CORE_SHA256_H
#define CT_CORE_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct ct_sha256_sum {
    uint32_t state[8];
    uint64_t bytes;     /* so far */
    uint8_t  block[64]; /* its first bytes % 64 wait for the rest */
} ct_sha256_sum;

void ct_sha256_begin(ct_sha256_sum *sum);
void ct_sha256_add(ct_sha256_sum *sum, const void *bytes, size_t count);
/* 64 hex digits and a 0; the sum is used up. */
void ct_sha256_end(ct_sha256_sum *sum, char hex[65]);
/* All of it at once. */
void ct_sha256(const void *bytes, size_t count, char hex[65]);

#endif
