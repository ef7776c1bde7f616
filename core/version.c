/* version.c -- see version.h. */
#include "core/version.h"

const char ct_version[] = CT_VERSION;
const char ct_revision[] = CT_REVISION;
const char ct_build[] = CT_COMPILER " " __VERSION__ ", " CT_PROFILE "," CT_FEATURES;
