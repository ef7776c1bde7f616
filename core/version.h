/* version.h -- what this build is; the facts are put in by the Makefile. Nothing owned, nothing fails. */
#ifndef CT_CORE_VERSION_H
#define CT_CORE_VERSION_H

extern const char ct_version[];  /* "0.1.0" */
extern const char ct_revision[]; /* git describe */
extern const char ct_build[];    /* compiler, profile, features */

#endif
