/* words.h -- the words of PTX: opcodes, suffixes, types, special registers. Owns nothing; what is unknown is said so by
 * the result.
 */
#ifndef CT_PTX_WORDS_H
#define CT_PTX_WORDS_H

#include "program.h"

/* "b32"; NONE: no type */
ptx_type ptx_type_of(const std::string &word);
/* "%tid.x" */
bool     ptx_special_of(const std::string &word, uint64_t *number);
/* "add" */
bool     ptx_opcode_of(const std::string &word, ptx_opcode *opcode);
/* What a suffix ("wide", "rn", "f32" ...) says of an instruction. */
bool     ptx_take_suffix(ptx_instruction &i, const std::string &word);

#endif
