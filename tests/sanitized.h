/* sanitized.h -- CT_SANITIZED: 1 where a sanitizer brings a malloc of its own, so that a test may not put its own
 * there. */
#ifndef CT_TESTS_SANITIZED_H
#define CT_TESTS_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CT_SANITIZED 1
#endif
#endif
#ifndef CT_SANITIZED
#define CT_SANITIZED 0
#endif

#endif
